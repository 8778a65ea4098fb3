"""How deployments, replicas and nodes fare, in the form that people know from Kubernetes.

Values in, values out: what was decided, what nodes say, and what the log of decisions tells of
since when. Nothing of it is ever published: the page, the API, the metrics and `miaas status` make
it anew from the same facts. No clock: every time is one that somebody wrote down.
"""
