/* ftp.c - an FTP server that knows itself but lets nobody in. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "serve.h"

static void say(my_demo_conn *c, const char *text)
{
  my_demo_say(c, text, strlen(text), false);
}

static void greet(my_demo_conn *c)
{
  say(c, "220 Mynah demo FTP server " MYNAH_VERSION " ready\r\n");
}

typedef struct answer {
  const char *word, *text;
} answer;

static const answer ANSWERS[] = {
    {"FEAT", "211-Features:\r\n SIZE\r\n MDTM\r\n UTF8\r\n211 End\r\n"},
    {"SYST", "215 UNIX Type: L8\r\n"},
    {"USER", "331 Please specify the password.\r\n"},
    {"PASS", "530 Login incorrect.\r\n"},
    {"NOOP", "200 NOOP ok.\r\n"},
    {"HELP", "214-The following commands are recognized.\r\n FEAT HELP NOOP PASS QUIT SYST "
             "USER\r\n214 Help OK.\r\n"},
};

static void obey(my_demo_conn *c, const char *line, size_t len)
{
  size_t word = 0;
  while (word < len && line[word] != ' ')
    word++;
  if (word == 4 && strncasecmp(line, "QUIT", 4) == 0) {
    my_demo_say(c, "221 Goodbye.\r\n", 14, true);
    return;
  }
  for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++)
    if (word == 4 && strncasecmp(line, ANSWERS[i].word, 4) == 0) {
      say(c, ANSWERS[i].text);
      return;
    }
  say(c, word >= 3 && word <= 4 ? "530 Please login with USER and PASS.\r\n"
                                : "500 Unknown command.\r\n");
}

static size_t input(my_demo_conn *c, const char *bytes, size_t len)
{
  size_t done = 0;
  const char *end;
  while ((end = memchr(bytes + done, '\n', len - done)) != NULL) {
    size_t line = (size_t)(end - (bytes + done));
    size_t text = line > 0 && end[-1] == '\r' ? line - 1 : line;
    obey(c, bytes + done, text);
    done += line + 1;
  }
  if (done == 0 && len >= MY_DEMO_INPUT) {
    my_demo_say(c, "500 Line too long.\r\n", 20, true);
    return len;
  }
  return done;
}

const my_demo_protocol my_demo_ftp = {.greet = greet, .input = input};
