/* capture.c - capture files through libpcap. Some Nmap binaries export an older or newer libpcap of
 * their own, which then answers instead of the system's: only functions and structures that have
 * been public and unchanged for a decade are used. */
#include "mynah/capture.h"
#include "mynah/fragment.h"

#include "gunzip.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct my_capture {
  pcap_t *pcap;
  char *name; /* for messages */
  int dlt;
  bool filtered, compressed;
  struct bpf_program filter; /* run by hand, so that packets it drops are numbered too */
  my_fragments *fragments;
  uint64_t packets, skipped;
  int over;        /* MY_OK while there may be more */
  my_where damage; /* said again if somebody asks again */
};

/* ---- opening ---- */

static int fail_open(my_where *where, const char *name, const char *what, const char *detail,
                     int rc)
{
  *where = (my_where){0};
  snprintf(where->text, sizeof where->text, "%.90s: %.40s%.60s", name, what, detail);
  return rc;
}

/* A directory opens without complaint and fails to read: say so before libpcap does in its own
 * words. */
static FILE *open_file(const char *path, my_where *where, int *rc)
{
  struct stat st;
  FILE *file = fopen(path, "rbe");
  if (file && fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
    fclose(file);
    file = NULL;
    errno = EISDIR;
  }
  if (!file) *rc = fail_open(where, path, "", strerror(errno), MY_ESYS);
  return file;
}

/* libpcap tells how many header bytes it tried for; what a person wants to know is simpler. */
static const char *why_no_capture(const char *said)
{
  if (!strstr(said, "truncated")) return said;
  return strstr(said, "only got 0") ? "the file is empty" : "cut short inside its header";
}

static int open_pcap(my_capture *c, const char *path, my_where *where)
{
  char message[PCAP_ERRBUF_SIZE] = "";
  int rc = MY_OK;
  bool is_stdin = strcmp(path, "-") == 0;
  FILE *raw = is_stdin ? stdin : open_file(path, where, &rc);
  if (!raw) return rc;
  FILE *file = gunzip_file(raw, &c->compressed);
  if (!file) {
    if (!is_stdin) fclose(raw);
    return MY_ENOMEM;
  }
  c->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, message);
  if (c->pcap) return MY_OK; /* owns the file now */
  fclose(file);
  return fail_open(where, c->name, "not a capture: ", why_no_capture(message), MY_EFORMAT);
}

static int check_link(my_capture *c, my_where *where)
{
  char detail[90];
  my_payload probe = {0};
  c->dlt = pcap_datalink(c->pcap);
  if (my_packet_decode(c->dlt, (my_span){NULL, 0}, 0, &probe) != MY_EFORMAT) return MY_OK;
  const char *name = pcap_datalink_val_to_name(c->dlt);
  snprintf(detail, sizeof detail, "%d (%s)", c->dlt, name ? name : "unknown");
  return fail_open(where, c->name, "cannot read link type ", detail, MY_EFORMAT);
}

static int set_filter(my_capture *c, const char *expression, my_where *where)
{
  if (!expression) return MY_OK;
  if (pcap_compile(c->pcap, &c->filter, expression, 1, PCAP_NETMASK_UNKNOWN) == 0) {
    c->filtered = true;
    return MY_OK;
  }
  *where = (my_where){0};
  snprintf(where->text, sizeof where->text, "filter \"%.80s\": %.100s", expression,
           pcap_geterr(c->pcap));
  return MY_ESYNTAX;
}

int my_capture_open(my_capture **out, const char *path, const char *filter, my_where *where)
{
  *out = NULL;
  *where = (my_where){0};
  my_capture *c = calloc(1, sizeof *c);
  if (!c) return MY_ENOMEM;
  c->name = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
  int rc = c->name ? my_fragments_new(&c->fragments) : MY_ENOMEM;
  if (rc == MY_OK) rc = open_pcap(c, path, where);
  if (rc == MY_OK) rc = check_link(c, where);
  if (rc == MY_OK) rc = set_filter(c, filter, where);
  if (rc == MY_OK)
    *out = c;
  else
    my_capture_close(c);
  return rc;
}

void my_capture_close(my_capture *c)
{
  if (!c) return;
  if (c->filtered) pcap_freecode(&c->filter);
  if (c->pcap) pcap_close(c->pcap); /* leaves stdin open */
  my_fragments_free(c->fragments);
  free(c->name);
  free(c);
}

/* ---- reading ---- */

/* The file ends, or goes wrong, inside packet 'packets' + 1. libpcap tells the numbers in its
 * message only. */
static int note_damage(my_capture *c)
{
  const char *said = pcap_geterr(c->pcap);
  const char *numbers = strstr(said, "tried to read ");
  size_t wanted, got;
  my_where *w = &c->damage;
  uint64_t number = c->packets + 1;
  if (numbers && sscanf(numbers, "tried to read %zu %*[a-z ], only got %zu", &wanted, &got) == 2) {
    snprintf(w->text, sizeof w->text,
             "%.80s: packet %" PRIu64 ": cut short: %zu byte%s of %zu %s there", c->name, number,
             got, got == 1 ? "" : "s", wanted, got == 1 ? "is" : "are");
    return c->over = MY_ESHORT;
  }
  bool cut = strstr(said, "truncated") != NULL;
  if (c->compressed && strstr(said, strerror(EBADMSG))) {
    said = "the compressed file is damaged, or breaks off";
    cut = true;
  }
  snprintf(w->text, sizeof w->text, "%.80s: packet %" PRIu64 ": %.80s", c->name, number, said);
  return c->over = cut ? MY_ESHORT : MY_EFORMAT;
}

/* Saturates: the seconds of a damaged file are any 64-bit number. */
static int64_t time_of(const struct pcap_pkthdr *h)
{
  int64_t ns;
  if (__builtin_mul_overflow((int64_t)h->ts.tv_sec, INT64_C(1000000000), &ns) ||
      __builtin_add_overflow(ns, (int64_t)h->ts.tv_usec, &ns)) /* nanoseconds, as asked for */
    return h->ts.tv_sec < 0 ? INT64_MIN : INT64_MAX;
  return ns;
}

int my_capture_next(my_capture *c, my_payload *out, my_where *where)
{
  struct pcap_pkthdr *h;
  const u_char *bytes;
  *where = (my_where){0};
  while (c->over == MY_OK) {
    *out = (my_payload){0};
    int rc = pcap_next_ex(c->pcap, &h, &bytes);
    if (rc != 1) {
      c->over = rc == PCAP_ERROR_BREAK ? MY_NOT_YET : note_damage(c);
      break;
    }
    out->number = ++c->packets;
    out->time_ns = time_of(h);
    if (c->filtered && !pcap_offline_filter(&c->filter, h, bytes)) continue;
    rc = my_fragments_decode(c->fragments, c->dlt, (my_span){bytes, h->caplen}, h->len, out);
    if (rc == MY_OK) return MY_OK;
    if (rc == MY_ENOMEM) return rc;
    c->skipped++;
  }
  *out = (my_payload){0};
  *where = c->damage;
  return c->over;
}

void my_capture_count(const my_capture *c, uint64_t *packets, uint64_t *skipped)
{
  *packets = c->packets;
  *skipped = c->skipped;
}
