/* Planted bugs: a guard of the product that a build for testing the tests takes away, one at a time.
 *
 * Room: schemas/runtime, pure. An ordinary build compiles PLANTED (NAME) to the constant false: nothing of it remains, and
 * there is no variable. A build with -DMAITRED_PLANTED=ON has the one global of the pure rooms, which the simulators' --plant
 * sets before anything runs. Thread safety: none needed, it is written once. Source: the catalogue of traps (R1 to X5) that
 * test/README.md lists; test/sim/planted.c says of each what it breaks and who must see it.
 *
 * A guard reads `if (guard && !PLANTED (NAME))`: what is planted is the guard's absence, as somebody might have written it.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_PLANTED_H
#define MAITRED_SCHEMAS_RUNTIME_PLANTED_H

/* clang-format off */
#define PLANTED_LIST(X) \
    X (G1_COMMIT_UNVERIFIED) \
    X (G1_NO_COMMIT) \
    X (G2_BEHIND_DATA) \
    X (G4_NO_STAGGER) \
    X (HALF_A_BASKET) \
    X (HOLD_EXPIRES_TWICE) \
    X (LIMIT_NOT_CHECKED) \
    X (R1_TERM_BEFORE_SYNC) \
    X (R1_VOTE_BEFORE_SYNC) \
    X (R1_VOTE_NOT_STORED) \
    X (R2_ACK_BEFORE_SYNC) \
    X (R2_APPLY_UNSYNCED) \
    X (R2_ENTRIES_AFTER_STATE) \
    X (R2_OWN_COPY_UNSYNCED) \
    X (R3_OLD_TERM_BY_COUNTING) \
    X (R4_CONFIGURE_BEFORE_NOOP) \
    X (R4_READ_BEFORE_NOOP) \
    X (R5_ROUND_ID_REUSED) \
    X (R5_STALE_ROUND_ECHOED) \
    X (R6_LEASE_READ) \
    X (R7_CONFIG_ON_COMMIT) \
    X (R7_NO_ROLLBACK) \
    X (R7_SNAPSHOT_UNCOMMITTED) \
    X (R7_TWO_IN_FLIGHT) \
    X (R8_NO_JOINT) \
    X (R8_ONE_HALF) \
    X (R9_LEARNER_SILENT) \
    X (R9_PROMOTED_BEHIND) \
    X (R10_NO_CHECK_QUORUM) \
    X (R10_NO_PREVOTE) \
    X (R10_REFUSAL_HIDES_TERM) \
    X (R11_NOT_STICKY) \
    X (R12_AMNESIA_UNSEEN) \
    X (R12_CLEARED_EARLY) \
    X (R12_MARK_NOT_KEPT) \
    X (R12_OFFER_OUTLIVES) \
    X (R12_SUSPECT_COUNTS) \
    X (R12_SUSPECT_VOTES) \
    X (R12_TERM_AGAIN) \
    X (R12_VOTE_FORGOTTEN) \
    X (R13_CHUNK_TWICE) \
    X (R13_CONFLICT_KEPT) \
    X (R13_INSTALL_GOES_BACK) \
    X (R13_STALE_LOG_LOADED) \
    X (R14_INDEX_AHEAD_OF_STATE) \
    X (R15_NEVER_GIVES_UP) \
    X (R15_PROPOSES_MEANWHILE) \
    X (R15_TARGET_UNCHECKED) \
    X (R16_CUT_KEEPS_MEMBERS) \
    X (S1_INCARNATION_NOT_STORED) \
    X (S2_DEAD_FORGOTTEN) \
    X (S3_POSITION_IS_IDENTITY) \
    X (S4_TABLE_STAYS_FULL) \
    X (S4_TOLD_FOR_EVER) \
    X (S5_STALL_BLAMES_OTHERS) \
    X (S6_OLD_HINT_WINS) \
    X (SLOT_SOLD_TWICE) \
    X (STOCK_NOT_RETURNED) \
    X (STOCK_OVERSOLD) \
    X (STORE_BATCH_OF_HALVES) \
    X (STORE_DROPPED_TURN_UNSEEN) \
    X (STORE_REBUILT_TRUSTED) \
    X (STORE_UNLISTED_UNSEEN) \
    X (R12_EMPTIED_STANDS) \
    X (STORE_ENTRY_UNCHECKED) \
    X (STORE_GENERATION_STAYS) \
    X (STORE_HOLE_BY_INDEX) \
    X (STORE_HOLE_UNSEEN) \
    X (STORE_LOST_END_UNSEEN) \
    X (STORE_ROT_IS_TORN) \
    X (STORE_SUSPECT_UNMARKED) \
    X (STORE_TURNS_DROPPED_EARLY) \
    X (UNITS_NOT_RETURNED) \
    X (X1_NOT_RECORDED) \
    X (X1_REPLY_OF_ANOTHER) \
    X (X2_NO_HORIZON) \
    X (X3_BODY_NOT_COMPARED) \
    X (X4_FOLLOWS_THE_WALL) \
    X (X5_ELECTION_RESETS_TIME)
/* clang-format on */

#define PLANTED_MEMBER(name) PLANTED_##name,
enum planted { PLANTED_NONE = 0, PLANTED_LIST (PLANTED_MEMBER) PLANTED_COUNT };
#undef PLANTED_MEMBER

#ifdef MAITRED_PLANTED
extern enum planted planted_chosen;
#define PLANTED(name) (planted_chosen == PLANTED_##name)
#else
#define PLANTED(name) (PLANTED_##name == PLANTED_NONE) /* constant false, and still a name that must exist */
#endif

#endif
