"""Every built-in template in every way that it is meant to be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One deployment of a template, on so many GPUs."""

    template: str
    name: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    gpus: int = 0

    def __str__(self) -> str:
        """Name the case as pytest shows it."""
        return f"{self.template}-{self.name}"


_QWEN: Final = {"model": "Qwen/Qwen3-8B"}
_GGUF: Final = {"model": "ggml-org/gemma-3-4b-it-GGUF:Q4_K_M"}
_BGE: Final = {"model": "BAAI/bge-m3"}
_BEHIND: Final = [
    {"name": "chat", "model": "chat-a", "url": "http://192.0.2.10:20000/v1"},
    {"name": "chat", "model": "chat-b", "url": "http://192.0.2.11:20000/v1"},
]

CASES: Final = (
    Case(template="http-echo", name="defaults"),
    Case(
        template="http-echo",
        name="own-image",
        parameters={"image": "miaas/echo:1", "pullPolicy": "never", "text": 'a <b> & "c"'},
    ),
    Case(template="litellm", name="two-servers", parameters={"models": _BEHIND}),
    Case(template="llama-cpp", name="no-gpu", parameters=_GGUF),
    Case(template="llama-cpp", name="one-gpu", parameters=_GGUF, gpus=1),
    Case(
        template="llama-cpp",
        name="two-gpus",
        parameters={**_GGUF, "servedName": "gemma", "extraArguments": ["--flash-attn", "on"]},
        gpus=2,
    ),
    Case(template="ollama", name="no-gpu"),
    Case(template="ollama", name="one-gpu", parameters={"models": ["llama3.2:3b"]}, gpus=1),
    Case(
        template="ollama",
        name="two-gpus",
        parameters={
            "models": ["llama3.3:70b", "nomic-embed-text"],
            "parallel": 4,
            "maxLoadedModels": 2,
            "contextLength": 16384,
        },
        gpus=2,
    ),
    Case(template="open-webui", name="defaults"),
    Case(
        template="open-webui",
        name="two-servers",
        parameters={
            "openaiUrls": ["http://192.0.2.10:20000/v1", "http://192.0.2.11:20000/v1"],
            "ollamaUrls": ["http://192.0.2.12:20001"],
        },
    ),
    Case(template="postgres", name="defaults"),
    Case(template="prometheus", name="defaults"),
    Case(
        template="prometheus",
        name="two-jobs",
        parameters={
            "jobs": [
                {"name": "vllm", "targets": ["192.0.2.10:20000", "192.0.2.11:20000"]},
                {"name": "own", "targets": ["192.0.2.12:9000"], "path": "/figures"},
            ]
        },
    ),
    Case(template="qdrant", name="defaults"),
    Case(template="redis", name="defaults"),
    Case(template="redis", name="cache", parameters={"eviction": "allkeys-lru", "fsync": "no"}),
    Case(template="text-embeddings", name="no-gpu", parameters=_BGE),
    Case(template="text-embeddings", name="one-gpu", parameters=_BGE, gpus=1),
    Case(template="vllm", name="one-gpu", parameters=_QWEN, gpus=1),
    Case(
        template="vllm",
        name="two-gpus",
        parameters={
            **_QWEN,
            "servedName": "qwen",
            "maxModelLength": 16384,
            "maxSequences": 64,
            "extraArguments": ["--enable-prefix-caching"],
        },
        gpus=2,
    ),
)
