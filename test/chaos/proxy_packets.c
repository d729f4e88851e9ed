/* Packets between namespaces: out of one TUN device, through the rules of the link, into another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "test/chaos/proxy.h"

#define PACKET_MAX 16384
#define READS_MAX 64 /* of one device before the others are looked at */
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct held {
    uint64_t due_us, order;
    uint32_t len;
    uint8_t to;
    uint8_t *bytes;
};

/* A heap, the packet that is due first on top. */
struct proxy_packets {
    struct held heap[PROXY_HELD_MAX];
    uint32_t count;
    uint64_t order;
};

static bool sooner (const struct held *a, const struct held *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void swap (struct held *a, struct held *b)
{
    struct held c = *a;
    *a = *b;
    *b = c;
}

static bool push (struct proxy_packets *held, struct held packet)
{
    if (held->count == PROXY_HELD_MAX)
        return false;
    packet.order = held->order++;
    uint32_t at = held->count++;
    held->heap[at] = packet;
    for (; at > 0 && sooner (&held->heap[at], &held->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap (&held->heap[at], &held->heap[(at - 1) / 2]);
    return true;
}

static struct held pop (struct proxy_packets *held)
{
    struct held first = held->heap[0];
    held->heap[0] = held->heap[--held->count];
    for (uint32_t at = 0;;) {
        uint32_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < held->count && sooner (&held->heap[left], &held->heap[least]))
            least = left;
        if (right < held->count && sooner (&held->heap[right], &held->heap[least]))
            least = right;
        if (least == at)
            return first;
        swap (&held->heap[at], &held->heap[least]);
        at = least;
    }
}

bool proxy_packets_open (struct proxy *proxy)
{
    proxy->held = calloc (1, sizeof *proxy->held);
    if (proxy->held == NULL)
        return false;
    for (uint32_t end = 0; end < proxy->setup->ends; end++)
        if (!proxy_watch (proxy, proxy->setup->devices[end], EPOLLIN, PROXY_DEVICE, end))
            return false;
    return true;
}

/* A full device queue drops, as a full link does. */
static void put (struct proxy *proxy, uint32_t to, const uint8_t *packet, size_t len)
{
    ssize_t written;
    do
        written = write (proxy->setup->devices[to], packet, len);
    while (written < 0 && errno == EINTR);
}

/* ---- resets */

static uint32_t sum16 (const uint8_t *data, size_t len, uint32_t sum)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t) data[i] << 8 | data[i + 1];
    return sum;
}

static uint16_t folded (uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~sum;
}

static void put16 (uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t) (value >> 8);
    at[1] = (uint8_t) value;
}

/* An RST of the connection that `tcp` belongs to: back to who sent it, or on to where it went. */
static void reset_towards (struct proxy *proxy, uint32_t to, const uint8_t *ip, const uint8_t *tcp, bool back)
{
    uint8_t out[40] = {0x45};
    put16 (out + 2, sizeof out);
    out[8] = 64;
    out[9] = 6;
    memcpy (out + 12, back ? ip + 16 : ip + 12, 4);
    memcpy (out + 16, back ? ip + 12 : ip + 16, 4);
    put16 (out + 10, folded (sum16 (out, 20, 0)));
    uint8_t *header = out + 20;
    memcpy (header, back ? tcp + 2 : tcp, 2);
    memcpy (header + 2, back ? tcp : tcp + 2, 2);
    /* The one sequence number that the receiver takes a reset with: what it expects next. */
    memcpy (header + 4, back ? tcp + 8 : tcp + 4, 4);
    header[12] = 0x50;
    header[13] = TCP_RST;
    uint32_t pseudo = sum16 (out + 12, 8, 6 + 20);
    put16 (header + 16, folded (sum16 (header, 20, pseudo)));
    put (proxy, to, out, sizeof out);
}

static void reset (
    struct proxy *proxy, struct proxy_link *link, uint32_t from, uint32_t to, const uint8_t *packet, size_t len)
{
    size_t header = (size_t) (packet[0] & 15) * 4;
    if (packet[9] != 6 || len < header + 20 || (packet[header + 13] & TCP_RST) != 0)
        return;
    if ((packet[header + 13] & TCP_ACK) != 0)
        reset_towards (proxy, from, packet, packet + header, true);
    reset_towards (proxy, to, packet, packet + header, false);
    link->resets++;
}

/* ---- the way of a packet */

static void hold_or_put (
    struct proxy *proxy, struct proxy_link *link, uint32_t to, const uint8_t *packet, size_t len, uint64_t now_us)
{
    uint64_t due_us = proxy_due_us (proxy, link, now_us, len);
    if (due_us <= now_us) {
        put (proxy, to, packet, len);
        return;
    }
    struct held held = {.due_us = due_us, .len = (uint32_t) len, .to = (uint8_t) to, .bytes = malloc (len)};
    if (held.bytes != NULL)
        memcpy (held.bytes, packet, len);
    if (held.bytes == NULL || !push (proxy->held, held)) {
        free (held.bytes);
        link->dropped++;
    }
}

static void pass (struct proxy *proxy, uint32_t from, const uint8_t *packet, size_t len, uint64_t now_us)
{
    /* IPv4 alone; the last byte of the address is the end's number and one more. */
    if (len < 20 || packet[0] >> 4 != 4)
        return;
    uint32_t to = (uint32_t) packet[19] - 1;
    if (packet[19] == 0 || to >= proxy->setup->ends || to == from)
        return;
    struct proxy_link *link = &proxy->links[from][to];
    if (link->reset) {
        reset (proxy, link, from, to, packet, len);
        return;
    }
    if (link->drop || (link->loss_permille > 0 && proxy_draw (proxy, 1000) < link->loss_permille)) {
        link->dropped++;
        return;
    }
    link->passed++;
    hold_or_put (proxy, link, to, packet, len, now_us);
    if (link->double_permille > 0 && proxy_draw (proxy, 1000) < link->double_permille) {
        link->doubled++;
        hold_or_put (proxy, link, to, packet, len, now_us);
    }
}

void proxy_packets_ready (struct proxy *proxy, uint32_t end, uint64_t now_us)
{
    static uint8_t packet[PACKET_MAX];
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t len = read (proxy->setup->devices[end], packet, sizeof packet);
        if (len <= 0)
            return;
        pass (proxy, end, packet, (size_t) len, now_us);
    }
}

uint64_t proxy_packets_due (struct proxy *proxy, uint64_t now_us)
{
    struct proxy_packets *held = proxy->held;
    while (held->count > 0 && held->heap[0].due_us <= now_us) {
        struct held packet = pop (held);
        put (proxy, packet.to, packet.bytes, packet.len);
        free (packet.bytes);
    }
    return held->count == 0 ? UINT64_MAX : held->heap[0].due_us;
}
