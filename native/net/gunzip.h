/* gunzip.h - a compressed file read as if it were plain. */
#ifndef MYNAH_NET_GUNZIP_H
#define MYNAH_NET_GUNZIP_H

#include <stdbool.h>
#include <stdio.h>

/* A file to read instead of 'raw', which it owns from now on (but for stdin, which stays open):
 * what gzip made of a file is unpacked on the way, anything else is given as it is. *compressed
 * says which. NULL: memory is out, or raw cannot be read; then raw is as it was. */
FILE *gunzip_file(FILE *raw, bool *compressed);

#endif
