/* A stand-in for NVIDIA's management library. It knows one machine, which a text file describes,
 * so that tests run the true Python binding over true C calls. The file is named by FAKE_NVML.
 *
 *   driver 570.86.15          cuda 12080            for the whole machine
 *   fail FUNCTION CODE        a call that fails; below a device, for that device alone
 *   hang FUNCTION             a call that never comes back
 *   gpu UUID MODEL            a card; underscores in MODEL stand for blanks
 *   mig UUID MODEL            an instance of the card above
 *   hole                      a place for an instance that is empty
 *   KEY NUMBER                of the device above: total, used, reserved (MiB), utilisation,
 *                             celsius, milliwatts, major, minor, uncorrected, pending, failed,
 *                             retired, recovery, clocks (bits of what slows it down)
 *   process PID MIB           of the device above; MIB -1: the driver does not say
 *   drawing PID MIB           the same, for one that draws
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DONE = 0, NOT_INITIALISED = 1, BAD_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
    TOO_SMALL = 7, NO_DRIVER = 9, LOST = 15, MISMATCH = 18, OTHER_VERSION = 25
};
enum { CARDS = 16, PLACES = 8, PROCESSES = 16, FAULTS = 16 };

typedef unsigned long long u64;
typedef struct { char call[96]; int code; } fault;
typedef struct { unsigned pid; long long mib; int draws; } process;
typedef struct device {
    int hole, is_instance, index, places, processes, faults;
    char uuid[96], model[96];
    long long total, used, reserved, utilisation, celsius, milliwatts, major, minor;
    long long uncorrected, pending, failed, retired, recovery, clocks;
    process process[PROCESSES];
    fault fault[FAULTS];
    struct device *place[PLACES];
} device;

static device card[CARDS], instance[CARDS * PLACES], machine;
static int cards, instances, ready, cuda;
static char driver[96];

static void set(device *d, const char *key, long long value) {
    struct { const char *key; long long *at; } known[] = {
        {"total", &d->total}, {"used", &d->used}, {"reserved", &d->reserved},
        {"utilisation", &d->utilisation}, {"celsius", &d->celsius},
        {"milliwatts", &d->milliwatts}, {"major", &d->major}, {"minor", &d->minor},
        {"uncorrected", &d->uncorrected}, {"pending", &d->pending}, {"failed", &d->failed},
        {"retired", &d->retired}, {"recovery", &d->recovery}, {"clocks", &d->clocks},
    };
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].key, key)) { *known[i].at = value; return; }
    fprintf(stderr, "fake_nvml: no such key: %s\n", key);
    exit(99);
}

static void name(device *d, const char *uuid, const char *model) {
    snprintf(d->uuid, sizeof d->uuid, "%s", uuid);
    snprintf(d->model, sizeof d->model, "%s", model);
    for (char *c = d->model; *c; c++) if (*c == '_') *c = ' ';
}

static int load(void) {
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256], word[4][96];
    device *now = &machine, *above = NULL;
    if (!file) return NO_DRIVER;
    memset(card, 0, sizeof card); memset(instance, 0, sizeof instance);
    memset(&machine, 0, sizeof machine); cards = instances = 0;
    while (fgets(line, sizeof line, file)) {
        int n = sscanf(line, "%95s %95s %95s %95s", word[0], word[1], word[2], word[3]);
        if (n < 1 || word[0][0] == '#') continue;
        if (!strcmp(word[0], "driver")) snprintf(driver, sizeof driver, "%s", word[1]);
        else if (!strcmp(word[0], "cuda")) cuda = atoi(word[1]);
        else if (!strcmp(word[0], "gpu")) {
            now = above = &card[cards]; now->index = cards++; name(now, word[1], word[2]);
        } else if (!strcmp(word[0], "mig") || !strcmp(word[0], "hole")) {
            now = &instance[instances++]; now->is_instance = 1; now->hole = n == 1;
            if (n > 1) name(now, word[1], word[2]);
            above->place[above->places++] = now;
        } else if (!strcmp(word[0], "process") || !strcmp(word[0], "drawing")) {
            process *p = &now->process[now->processes++];
            p->pid = atoi(word[1]); p->mib = atoll(word[2]); p->draws = word[0][0] == 'd';
        } else if (!strcmp(word[0], "fail") || !strcmp(word[0], "hang")) {
            fault *f = &now->fault[now->faults++];
            snprintf(f->call, sizeof f->call, "%s", word[1]);
            f->code = word[0][0] == 'h' ? -1 : atoi(word[2]);
        } else set(now, word[0], atoll(word[1]));
    }
    fclose(file);
    return DONE;
}

static int fault_of(device *d, const char *call) {
    for (int i = 0; i < d->faults; i++)
        if (!strcmp(d->fault[i].call, call) || !strcmp(d->fault[i].call, "everything")) {
            while (d->fault[i].code == -1) pause();
            return d->fault[i].code;
        }
    return DONE;
}
static int check(device *d, const char *call) {
    if (!ready) return NOT_INITIALISED;
    int code = fault_of(&machine, call);
    return code || !d ? code : fault_of(d, call);
}
#define ASK(d) do { int code_ = check((d), __func__); if (code_) return code_; } while (0)
#define BYTES(mib) ((u64)(mib) << 20)

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = load();
    if (!code) code = fault_of(&machine, __func__);
    ready = !code;
    return code;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { ready = 0; return DONE; }
const char *nvmlErrorString(int code) {
    switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case NO_DRIVER: return "Driver Not Loaded";
    case LOST: return "GPU is lost";
    case MISMATCH: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}
int nvmlSystemGetDriverVersion(char *to, unsigned size) {
    ASK(NULL); snprintf(to, size, "%s", driver); return DONE;
}
int nvmlSystemGetCudaDriverVersion_v2(int *to) { ASK(NULL); *to = cuda; return DONE; }
int nvmlDeviceGetCount_v2(unsigned *to) { ASK(NULL); *to = cards; return DONE; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **to) {
    if (index >= (unsigned)cards) return BAD_ARGUMENT;
    ASK(&card[index]); *to = &card[index]; return DONE;
}
int nvmlDeviceGetUUID(device *d, char *to, unsigned size) {
    ASK(d); snprintf(to, size, "%s", d->uuid); return DONE;
}
int nvmlDeviceGetName(device *d, char *to, unsigned size) {
    ASK(d); snprintf(to, size, "%s", d->model); return DONE;
}
int nvmlDeviceGetMemoryInfo(device *d, u64 *to) {
    ASK(d); to[0] = BYTES(d->total); to[2] = BYTES(d->used + d->reserved);
    to[1] = to[0] - to[2]; return DONE;
}
typedef struct { unsigned version; u64 total, reserved, free, used; } memory;
int nvmlDeviceGetMemoryInfo_v2(device *d, memory *to) {
    ASK(d); if (to->version != (2u << 24 | sizeof *to)) return OTHER_VERSION;
    to->total = BYTES(d->total); to->reserved = BYTES(d->reserved); to->used = BYTES(d->used);
    to->free = to->total - to->reserved - to->used; return DONE;
}
int nvmlDeviceGetMigMode(device *d, unsigned *now, unsigned *next) {
    ASK(d); if (d->is_instance) return NOT_SUPPORTED;
    *now = *next = d->places > 0; return DONE;
}
int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *to) {
    ASK(d); *to = d->places ? PLACES - 1 : 0; return DONE;
}
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned index, device **to) {
    ASK(d); if (index >= (unsigned)d->places || d->place[index]->hole) return NOT_FOUND;
    *to = d->place[index]; return DONE;
}
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } told;
static int processes(device *d, unsigned *count, told *to, int draws) {
    unsigned room = *count, found = 0;
    for (int i = 0; i < d->processes; i++) {
        process *p = &d->process[i];
        if (p->draws != draws) continue;
        if (to && found < room)
            to[found] = (told){p->pid, p->mib < 0 ? ~0ull : BYTES(p->mib), ~0u, ~0u};
        found++;
    }
    *count = found;
    return found > room ? TOO_SMALL : DONE;
}
int nvmlDeviceGetComputeRunningProcesses_v3(device *d, unsigned *count, told *to) {
    ASK(d); return processes(d, count, to, 0);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(device *d, unsigned *count, told *to) {
    ASK(d); return processes(d, count, to, 1);
}
int nvmlDeviceGetMPSComputeRunningProcesses_v3(device *d, unsigned *count, told *to) {
    ASK(d); (void)to; *count = 0; return DONE;
}
int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
    ASK(d); if (d->is_instance) return NOT_SUPPORTED;
    *major = d->major; *minor = d->minor; return DONE;
}
int nvmlDeviceGetUtilizationRates(device *d, unsigned *to) {
    ASK(d); if (d->is_instance || d->places) return NOT_SUPPORTED;
    to[0] = d->utilisation; to[1] = 0; return DONE;
}
int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *to) {
    ASK(d); (void)sensor; *to = d->celsius; return DONE;
}
int nvmlDeviceGetPowerUsage(device *d, unsigned *to) { ASK(d); *to = d->milliwatts; return DONE; }
int nvmlDeviceGetCurrentClocksEventReasons(device *d, u64 *to) {
    ASK(d); *to = d->clocks; return DONE;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, u64 *to) {
    ASK(d); *to = d->clocks; return DONE;
}
int nvmlDeviceGetTotalEccErrors(device *d, int kind, int counter, u64 *to) {
    ASK(d); *to = kind == 1 && counter == 0 ? d->uncorrected : 0; return DONE;
}
int nvmlDeviceGetRemappedRows(device *d, unsigned *a, unsigned *b, unsigned *wait, unsigned *fail) {
    ASK(d); *a = *b = 0; *wait = d->pending; *fail = d->failed; return DONE;
}
int nvmlDeviceGetRetiredPagesPendingStatus(device *d, int *to) {
    ASK(d); *to = d->retired; return DONE;
}
typedef struct {
    unsigned id, scope; long long at, latency; int type, code;
    union { double real; unsigned whole; u64 wide; } value;
} field;
int nvmlDeviceGetFieldValues(device *d, int count, field *to) {
    ASK(d);
    for (int i = 0; i < count; i++) {
        to[i].code = to[i].id == 230 ? DONE : NOT_SUPPORTED;
        to[i].value.whole = d->recovery;
    }
    return DONE;
}
