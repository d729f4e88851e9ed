#include "test/sim/planted.h"

#include <stdio.h>
#include <string.h>

#define SEEDS 2000

#define RAFT "maitred_sim", ""
#define RAFT_WITH(families) "maitred_sim", "--families " families
#define SHARD "maitred_sim", "--services"
#define SHARD_WITH(families) "maitred_sim", "--services --families " families
#define UNIT(program) program, "" /* a unit test: one run, without seeds */
#define GOSSIP "maitred_sim_gossip", ""

#define ENTRY(name, trap, model, breaks) [PLANTED_##name] = {#name, trap, model, SEEDS, breaks}

static const struct planted_entry entries[PLANTED_COUNT] = {
    ENTRY (R1_VOTE_NOT_STORED, "R1", RAFT, "the vote is not written with the term: a restart votes again"),
    ENTRY (R1_VOTE_BEFORE_SYNC, "R1", RAFT, "a granted vote leaves before it is synced"),
    ENTRY (R1_TERM_BEFORE_SYNC, "R1", RAFT, "others learn of a term that a crash takes back"),
    ENTRY (R2_ACK_BEFORE_SYNC, "R2", RAFT, "a follower acknowledges entries before they are synced"),
    ENTRY (R2_OWN_COPY_UNSYNCED, "R2", RAFT, "a leader counts its own copy before it is synced"),
    ENTRY (R2_APPLY_UNSYNCED, "R2", RAFT, "what a quorum holds is applied although it is not synced here"),
    ENTRY (R2_ENTRIES_AFTER_STATE, "R2", RAFT, "term and vote are written first, the entries with the next batch"),
    ENTRY (R3_OLD_TERM_BY_COUNTING, "R3", RAFT_WITH ("60000"),
        "an entry of an older term commits because a quorum holds it"),
    ENTRY (R4_READ_BEFORE_NOOP, "R4", RAFT, "a fresh leader answers reads before its no-op has committed"),
    ENTRY (R4_CONFIGURE_BEFORE_NOOP, "R4", RAFT, "a fresh leader changes the members before its no-op has committed"),
    ENTRY (R5_ROUND_ID_REUSED, "R5", RAFT, "later reads join a ReadIndex round that is under way, retries keep its id"),
    ENTRY (R5_STALE_ROUND_ECHOED, "R5", RAFT, "an answer to an old leader's round carries the round"),
    ENTRY (R6_LEASE_READ, "R6", RAFT, "a leader trusts its clock and answers reads without asking anybody"),
    ENTRY (R7_CONFIG_ON_COMMIT, "R7", RAFT, "followers take a configuration up when it commits, not on append"),
    ENTRY (R7_NO_ROLLBACK, "R7", RAFT, "a truncated configuration stays in force"),
    ENTRY (R7_TWO_IN_FLIGHT, "R7", RAFT, "a second change begins before the first has committed"),
    ENTRY (
        R7_SNAPSHOT_UNCOMMITTED, "R7", SHARD, "a snapshot carries the newest configuration, not the one of its index"),
    ENTRY (R8_ONE_HALF, "R8", RAFT, "in a joint configuration the coming half decides alone"),
    ENTRY (R8_NO_JOINT, "R8", RAFT, "voters are exchanged in one step"),
    ENTRY (R9_LEARNER_SILENT, "R9", RAFT, "a learner that is asked for a vote does not answer"),
    ENTRY (R9_PROMOTED_BEHIND, "R9", RAFT, "a learner becomes a voter before it has caught up"),
    ENTRY (R10_NO_PREVOTE, "R10", RAFT, "whoever hears nothing takes the next term at once"),
    ENTRY (R10_NO_CHECK_QUORUM, "R10", RAFT, "a leader that nobody answers leads on"),
    ENTRY (R10_REFUSAL_HIDES_TERM, "R10", RAFT, "a refused pre-vote does not show the higher term"),
    ENTRY (R11_NOT_STICKY, "R11", RAFT, "a voter that hears its leader well votes for another all the same"),
    ENTRY (R12_SUSPECT_VOTES, "R12", RAFT_WITH ("2090"), "a replica that lost its tail votes like any other"),
    ENTRY (
        R12_SUSPECT_COUNTS, "R12", RAFT_WITH ("2094"), "what a suspect acknowledges counts towards commits and reads"),
    ENTRY (R12_TERM_AGAIN, "R12", UNIT ("test_raft_suspect"),
        "suspects elect a leader in a term that they may have forgotten"),
    ENTRY (R12_VOTE_FORGOTTEN, "R12", UNIT ("test_raft_suspect"),
        "a suspect is trusted while the candidate that has its forgotten vote can still win"),
    ENTRY (R12_AMNESIA_UNSEEN, "R12", RAFT, "a leader goes on counting what a replica acknowledged in an earlier life"),
    ENTRY (R12_CLEARED_EARLY, "R12", RAFT, "a suspect is trusted again before it has caught up"),
    ENTRY (R12_MARK_NOT_KEPT, "R12", SHARD, "a replica that is told of its amnesia does not write the mark"),
    ENTRY (R12_OFFER_OUTLIVES, "R12", SHARD_WITH ("4086"),
        "a replica takes leadership that was offered to an earlier life of it"),
    ENTRY (R13_CONFLICT_KEPT, "R13", RAFT, "a snapshot leaves entries in the log that contradict it"),
    ENTRY (R13_STALE_LOG_LOADED, "R13", RAFT_WITH ("300d0"),
        "a restart loads entries of a history that a snapshot replaced"),
    ENTRY (R13_INSTALL_GOES_BACK, "R13", SHARD, "a late snapshot takes the state back"),
    ENTRY (R13_CHUNK_TWICE, "R13", SHARD, "a repeated chunk is stored again"),
    ENTRY (R14_INDEX_AHEAD_OF_STATE, "R14", SHARD, "the applied index that is written with the state is ahead of it"),
    ENTRY (R15_PROPOSES_MEANWHILE, "R15", RAFT, "a leader that hands over takes proposals"),
    ENTRY (R15_TARGET_UNCHECKED, "R15", RAFT, "leadership is handed to a replica whose log is behind"),
    ENTRY (R15_NEVER_GIVES_UP, "R15", RAFT_WITH ("4001"), "a hand-over that nobody takes stops proposals for good"),
    ENTRY (R16_CUT_KEEPS_MEMBERS, "R16", RAFT_WITH ("18080"),
        "a cut drops a change of members, and the members that a log begins with stay as they were"),
    ENTRY (STORE_HOLE_UNSEEN, "store", RAFT_WITH ("c00080"),
        "the numbers of turns are not compared: a lost one is not missed"),
    ENTRY (STORE_HOLE_BY_INDEX, "store", UNIT ("test_store_rot"),
        "behind a hole a log goes on where its indexes do, whatever the terms say"),
    ENTRY (STORE_BATCH_OF_HALVES, "store", UNIT ("test_store_rot"),
        "behind damage the rest of a batch is taken for the rest of the one before"),
    ENTRY (STORE_ROT_IS_TORN, "store", UNIT ("test_store_damage"),
        "rot is cut like a torn end, with all that stands behind it"),
    ENTRY (STORE_SUSPECT_UNMARKED, "store", UNIT ("test_store_damage"),
        "a torn end is cut, and the folder is not suspect"),
    ENTRY (
        STORE_LOST_END_UNSEEN, "store", UNIT ("test_store_damage"), "a log that ends before MARK is taken for whole"),
    ENTRY (STORE_ENTRY_UNCHECKED, "store", UNIT ("test_store_rot"), "an entry's checksum is not compared"),
    ENTRY (STORE_DROPPED_TURN_UNSEEN, "store", UNIT ("test_store_rot"),
        "batches that were lost without a gap in the numbers are not missed"),
    ENTRY (R12_EMPTIED_STANDS, "R12", UNIT ("test_raft_suspect"),
        "replicas that all start over with nothing elect one of them: what they held is forgotten in silence"),
    ENTRY (STORE_UNLISTED_UNSEEN, "store", UNIT ("test_store_unlisted"),
        "a log whose index lost its newest lines is taken as it was before them"),
    ENTRY (STORE_REBUILT_TRUSTED, "store", UNIT ("test_store_rebuild"),
        "a log that was made anew from what is left of it is trusted as if it were whole"),
    ENTRY (STORE_GENERATION_STAYS, "store", UNIT ("test_store_log"),
        "an installed snapshot's generation is not written with its cut"),
    ENTRY (STORE_TURNS_DROPPED_EARLY, "store", UNIT ("test_store_log"), "a turn that a replica still needs is dropped"),
    ENTRY (G1_NO_COMMIT, "G1", RAFT, "heartbeats carry no commit index"),
    ENTRY (G1_COMMIT_UNVERIFIED, "G1", RAFT, "a heartbeat commits entries that were not compared with the leader's"),
    ENTRY (G2_BEHIND_DATA, "G2", RAFT, "heartbeats wait behind unacknowledged appends"),
    ENTRY (G4_NO_STAGGER, "G4", RAFT, "at a restart all replicas stand for election at the same moment"),
    ENTRY (S1_INCARNATION_NOT_STORED, "S1", GOSSIP, "an incarnation is told before it is stored"),
    ENTRY (S2_DEAD_FORGOTTEN, "S2", GOSSIP, "the dead are never tried again"),
    ENTRY (S3_POSITION_IS_IDENTITY, "S3", GOSSIP, "a member is known by its place, not by its folder's id"),
    ENTRY (S4_TABLE_STAYS_FULL, "S4", GOSSIP, "a full table has no room for the living"),
    ENTRY (S4_TOLD_FOR_EVER, "S4", GOSSIP, "a change is passed on without end"),
    ENTRY (S5_STALL_BLAMES_OTHERS, "S5", GOSSIP, "a node that stood still blames the others for it"),
    ENTRY (S6_OLD_HINT_WINS, "S6", GOSSIP, "a leader hint of an older term replaces a newer one"),
    ENTRY (X1_NOT_RECORDED, "X1", SHARD, "applying leaves no record of the request id"),
    ENTRY (X1_REPLY_OF_ANOTHER, "X1", SHARD, "a caller gets the reply of the entry that took its entry's place"),
    ENTRY (X2_NO_HORIZON, "X2", SHARD, "a repeat older than the horizon is applied again"),
    ENTRY (X3_BODY_NOT_COMPARED, "X3", SHARD, "the same id with another body gets the first one's reply"),
    ENTRY (X4_FOLLOWS_THE_WALL, "X4", SHARD, "log time jumps ahead with the wall clocks"),
    ENTRY (X5_ELECTION_RESETS_TIME, "X5", SHARD, "an election resets how long ago the last entry was stamped"),
    ENTRY (SLOT_SOLD_TWICE, "reserve", SHARD, "a slot is given to more than it has room for"),
    ENTRY (LIMIT_NOT_CHECKED, "reserve", SHARD, "a customer takes more than the offer's limit"),
    ENTRY (UNITS_NOT_RETURNED, "reserve", SHARD, "what is released or cancelled stays counted"),
    ENTRY (HOLD_EXPIRES_TWICE, "reserve", SHARD, "an expired hold gives its units back twice"),
    ENTRY (HALF_A_BASKET, "reserve", SHARD, "a booking of two things takes only the first"),
    ENTRY (STOCK_OVERSOLD, "order", SHARD, "an order takes stock that is not there"),
    ENTRY (STOCK_NOT_RETURNED, "order", SHARD, "a declined order keeps its stock"),
};

bool planted_choose (const char *name)
{
#ifdef MAITRED_PLANTED
    for (unsigned i = PLANTED_NONE + 1; i < PLANTED_COUNT; i++)
        if (strcmp (entries[i].name, name) == 0) {
            planted_chosen = (enum planted) i;
            return true;
        }
    fprintf (stderr, "no planted bug is called %s; --plants lists them\n", name);
#else
    fprintf (stderr, "this build has no planted bugs (%s): configure one with -DMAITRED_PLANTED=ON\n", name);
#endif
    return false;
}

/* Those that are not found within a second of CPU: not for every run of the tests. */
static bool takes_long (enum planted which)
{
    static const enum planted slow[] = {
        PLANTED_R3_OLD_TERM_BY_COUNTING,
        PLANTED_R4_CONFIGURE_BEFORE_NOOP,
        PLANTED_R5_STALE_ROUND_ECHOED,
        PLANTED_R7_CONFIG_ON_COMMIT,
        PLANTED_R8_NO_JOINT,
        PLANTED_R9_LEARNER_SILENT,
        PLANTED_R10_NO_CHECK_QUORUM,
        PLANTED_R12_SUSPECT_COUNTS,
        PLANTED_R12_SUSPECT_VOTES,
        PLANTED_R12_CLEARED_EARLY,
        PLANTED_R12_OFFER_OUTLIVES,
        PLANTED_R13_CONFLICT_KEPT,
        PLANTED_R13_STALE_LOG_LOADED,
        PLANTED_R13_CHUNK_TWICE,
        PLANTED_R13_INSTALL_GOES_BACK,
        PLANTED_R15_NEVER_GIVES_UP,
        PLANTED_S2_DEAD_FORGOTTEN,
        PLANTED_S5_STALL_BLAMES_OTHERS,
        PLANTED_S6_OLD_HINT_WINS,
        PLANTED_STORE_LOST_END_UNSEEN,
        PLANTED_STORE_ROT_IS_TORN,
        PLANTED_STORE_SUSPECT_UNMARKED,
        PLANTED_X2_NO_HORIZON,
        PLANTED_X4_FOLLOWS_THE_WALL,
    };
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (slow[i] == which)
            return true;
    return false;
}

bool planted_print (void)
{
    for (unsigned i = PLANTED_NONE + 1; i < PLANTED_COUNT; i++) {
        const struct planted_entry *entry = &entries[i];
        if (entry->name == NULL) {
            fprintf (stderr, "planted bug %u of schemas/runtime/planted.h has no entry in test/sim/planted.c\n", i);
            return false;
        }
        printf ("%s\t%s\t%s\t%s\t%u\t%s\t%s\n", entry->name, entry->trap, entry->program, entry->flags, entry->seeds,
            entry->breaks, takes_long ((enum planted) i) ? "" : "quick");
    }
    return true;
}
