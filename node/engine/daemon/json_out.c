#include "node/engine/daemon/json_out.h"

#include <stdio.h>

void json_out_string (const char *text)
{
    putchar ('"');
    for (const unsigned char *at = (const unsigned char *) text; *at != 0; at++) {
        if (*at == '"' || *at == '\\')
            printf ("\\%c", *at);
        else if (*at < 0x20 || *at > 0x7e)
            printf ("\\u%04x", *at);
        else
            putchar (*at);
    }
    putchar ('"');
}
