/* Lifeguard, section IV.B: a suspicion starts with the longest timeout; every independent confirmation shortens it,
 * logarithmically, down to SWIM's. Who is alone in suspecting is probably the slow one itself. */
#include "node/gossip/gossip_internal.h"

_Static_assert(GOSSIP_CONFIRMATIONS_MAX < GOSSIP_MEMBERS_MAX, "there are more members than count");

/* alpha x max (1, log10 (members)) x interval */
static uint64_t min_timeout_ms (const struct gossip *gossip, size_t live)
{
    maitre_assert (live >= 2);
    uint64_t log10_q16 = ((uint64_t) gossip_log2_q16 ((uint32_t) live) << 16) / gossip_log2_q16 (10);
    if (log10_q16 < UINT64_C (1) << 16)
        log10_q16 = UINT64_C (1) << 16;
    uint64_t base_ms = (uint64_t) gossip->config.suspicion_alpha * gossip->config.probe_interval_ms;
    maitre_assert (base_ms * log10_q16 >> 16 >= base_ms);
    return base_ms * log10_q16 >> 16;
}

void gossip_suspicion_start (struct gossip *gossip, struct gossip_suspicion *suspicion, const struct id *accuser)
{
    maitre_assert (!suspicion->active);
    /* The suspect counts whether or not its slot was live before: it may be heard of for the first time. */
    size_t live = 1;
    for (size_t i = 0; i < gossip->count; i++)
        live += gossip_slot_live (gossip->sorted[i]) && &gossip->sorted[i]->suspicion != suspicion;
    if (live < 2)
        live = 2;
    /* Only members besides the suspect and this node can confirm. */
    size_t wanted = live - 2 < gossip->config.confirmations ? live - 2 : gossip->config.confirmations;
    uint64_t min_ms = min_timeout_ms (gossip, live);
    maitre_assert (wanted <= live - 2);
    maitre_assert (min_ms > 0);
    *suspicion = (struct gossip_suspicion){
        .active = true,
        .start_ms = gossip->now_ms,
        .min_ms = min_ms,
        .max_ms = wanted == 0 ? min_ms : min_ms * gossip->config.suspicion_beta,
        .confirmations_wanted = (uint32_t) wanted,
        .accusers_count = 1,
        .accusers = {*accuser},
    };
    maitre_assert (suspicion->confirmations_wanted <= GOSSIP_CONFIRMATIONS_MAX);
    maitre_assert (suspicion->max_ms >= suspicion->min_ms);
}

bool gossip_suspicion_confirm (struct gossip_suspicion *suspicion, const struct id *accuser)
{
    maitre_assert (suspicion->active);
    maitre_assert (suspicion->accusers_count >= 1);
    maitre_assert (suspicion->accusers_count <= suspicion->confirmations_wanted + 1);
    if (suspicion->accusers_count > suspicion->confirmations_wanted)
        return false;
    for (uint32_t i = 0; i < suspicion->accusers_count; i++)
        if (id_equal (&suspicion->accusers[i], accuser))
            return false;
    maitre_assert (suspicion->accusers_count <= GOSSIP_CONFIRMATIONS_MAX);
    suspicion->accusers[suspicion->accusers_count++] = *accuser;
    return true;
}

uint64_t gossip_suspicion_timeout_ms (const struct gossip_suspicion *suspicion)
{
    maitre_assert (suspicion->active);
    maitre_assert (suspicion->max_ms >= suspicion->min_ms);
    if (suspicion->confirmations_wanted == 0)
        return suspicion->min_ms;
    uint64_t part = gossip_log2_q16 (suspicion->accusers_count); /* confirmations + 1 */
    uint64_t whole = gossip_log2_q16 (suspicion->confirmations_wanted + 1);
    maitre_assert (part <= whole);
    return suspicion->max_ms - (suspicion->max_ms - suspicion->min_ms) * part / whole;
}

void gossip_suspicion_tick (struct gossip *gossip, struct gossip_effects *effects)
{
    for (size_t i = 0; i < gossip->count; i++) {
        struct gossip_slot *slot = gossip->sorted[i];
        if (!slot->suspicion.active)
            continue;
        uint64_t timeout_ms = gossip_suspicion_timeout_ms (&slot->suspicion);
        if (gossip->now_ms < slot->suspicion.start_ms + timeout_ms)
            continue;
        maitre_assert (timeout_ms >= slot->suspicion.min_ms);
        maitre_assert (slot != gossip->self);
        maitre_assert (slot->member.state == GOSSIP_SUSPECT);
        gossip_set_state (gossip, effects, slot, GOSSIP_DEAD);
    }
}
