/* Whether SIGINT has come while a long run is at work; header-only, used by fastnn/_core/executor.pyx.
 *
 * Python notes a signal in its own C handler and runs the Python one when it gets control, which in the middle of a
 * run is not the time for (such a handler may save the model).  fnn_watch_begin puts a handler of ours in front of
 * that of the process, which sets a flag and calls it; fnn_watch_end takes it away.  Only for the main thread: there is
 * one watch at a time.  Whoever ignores SIGINT, or leaves it to the system, is not watched. */
#pragma once
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t fnn_interrupted;

#ifndef _WIN32
static struct sigaction fnn_watched;

static void fnn_note_interrupt(int number)
{
    fnn_interrupted = 1;
    fnn_watched.sa_handler(number);
}

/* Whether the watch has begun. */
static inline int fnn_watch_begin(void)
{
    struct sigaction ours;
    if (sigaction(SIGINT, NULL, &fnn_watched) || fnn_watched.sa_flags & SA_SIGINFO) return 0;
    if (fnn_watched.sa_handler == SIG_DFL || fnn_watched.sa_handler == SIG_IGN) return 0;
    fnn_interrupted = 0;
    memset(&ours, 0, sizeof ours);
    ours.sa_handler = fnn_note_interrupt;
    ours.sa_mask = fnn_watched.sa_mask;
    ours.sa_flags = fnn_watched.sa_flags;
    return sigaction(SIGINT, &ours, NULL) == 0;
}

static inline void fnn_watch_end(void)
{
    struct sigaction now;
    if (sigaction(SIGINT, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == fnn_note_interrupt)
        sigaction(SIGINT, &fnn_watched, NULL);
}
#else
static inline int fnn_watch_begin(void) { return 0; }
static inline void fnn_watch_end(void) {}
#endif
