/* pump.h - an engine driven by a thread of its own, for a program that must never block and whose
 * loop is not ours: inside Nmap a script waits on a doorbell, a loopback datagram to a socket that
 * it receives on. UDP exchanges only: TCP stays with the host's own sockets. Safe to call from any
 * thread. The thread blocks all signals and touches nothing but the pump; it is joined by
 * my_pump_close, and at exit. */
#ifndef MYNAH_PUMP_H
#define MYNAH_PUMP_H

#include "mynah/engine.h"

typedef struct my_pump my_pump;

enum { MY_BELL_TOKEN = 16 };

/* Start engine and thread; config may be NULL. The module that holds this code must never be
 * unmapped (-z nodelete). */
int my_pump_open(my_pump **out, const my_engine_config *config);

/* Stop and join the thread, close every socket. NULL is allowed. */
void my_pump_close(my_pump *p);

/* The port on 127.0.0.1 (family 4) or ::1 (family 6; 0 where the system has none) that bells say
 * hello to. */
uint16_t my_pump_port(const my_pump *p, int family);

/* A new doorbell. Whoever sends 'token' to my_pump_port from a UDP socket gets a datagram of one
 * byte there when an exchange of this bell has news (of more than a sending, which can wait), and
 * then no further one until my_pump_next has said that there is none left. MY_OK and *bell (never
 * 0). */
int my_pump_bell(my_pump *p, uint64_t *bell, uint8_t token[MY_BELL_TOKEN]);

/* Forget a bell and give up its exchanges. */
void my_pump_bell_close(my_pump *p, uint64_t bell);

/* Ring it for a reason of the caller's own. */
void my_pump_ring(my_pump *p, uint64_t bell);

/* As my_engine_submit, for UDP; its events are the bell's. */
int my_pump_submit(my_pump *p, const my_exchange *x, uint64_t bell, uint64_t *id);

/* As my_engine_cancel. */
int my_pump_cancel(my_pump *p, uint64_t id);

/* The next event of the bell's exchanges. MY_OK: *out, whose data lives until the next call for
 * the same bell; MY_NOT_YET: none, wait for the bell; MY_ENOENT: no such bell. What finds no
 * memory, or comes while 1 MiB waits to be taken, is lost like a datagram in a full buffer, but
 * never an end. */
int my_pump_next(my_pump *p, uint64_t bell, my_event *out);

/* Exchanges whose end was not taken yet. */
size_t my_pump_count(my_pump *p);

#endif
