/* packet.h - what packet.c does for fragment.c. */
#ifndef MYNAH_CORE_PACKET_H
#define MYNAH_CORE_PACKET_H

#include "mynah/capture.h"

/* The payload of what an IP header of that protocol announces, all of it. MY_OK and *out but for
 * number and time_ns; MY_NOT_YET, MY_ESHORT. */
int packet_decode_body(my_span bytes, int protocol, const my_endpoint *from, const my_endpoint *to,
                       my_payload *out);

#endif
