/* How often a test goes round: as often as it says, or, where everything takes thirty times as long (-DMAITRED_VALGRIND=ON), a
 * twentieth of that: enough for each line to be met, too little for what only many rounds find, which other builds look for.
 *
 * Room: test/support.
 */
#ifndef MAITRED_TEST_SUPPORT_THOROUGH_H
#define MAITRED_TEST_SUPPORT_THOROUGH_H

#ifdef MAITRED_VALGRIND
#define THOROUGH(rounds) (((rounds) + 19) / 20)
#else
#define THOROUGH(rounds) (rounds)
#endif

#endif
