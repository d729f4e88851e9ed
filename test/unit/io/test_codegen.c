/* The generator, run on small schema files: what it accepts, and that it refuses everything else with file and line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <cmocka.h>

#define OUTPUT_SIZE 65536

static char folder[64];
static char generator[4200];

static void path_of (char *out, size_t size, const char *name)
{
    assert_true (snprintf (out, size, "%s/%s", folder, name) < (int) size);
}

static void put (const char *name, const char *text)
{
    char path[256];
    path_of (path, sizeof path, name);
    FILE *file = fopen (path, "wb");
    assert_non_null (file);
    fputs (text, file);
    assert_int_equal (fclose (file), 0);
}

static void get (const char *name, char *out)
{
    char path[256];
    path_of (path, sizeof path, name);
    FILE *file = fopen (path, "rb");
    assert_non_null (file);
    out[fread (out, 1, OUTPUT_SIZE - 1, file)] = '\0';
    fclose (file);
}

/* Runs the generator; output gets what it said. Returns its exit status. */
static int run (const char *option, const char *files, char *output)
{
    char command[8192];
    int len = snprintf (command, sizeof command, "cd %s && %s %s . %s 2>&1", folder, generator, option, files);
    assert_true (len > 0 && (size_t) len < sizeof command);
    FILE *pipe = popen (command, "r");
    assert_non_null (pipe);
    output[fread (output, 1, OUTPUT_SIZE - 1, pipe)] = '\0';
    int status = pclose (pipe);
    assert_true (WIFEXITED (status));
    return WEXITSTATUS (status);
}

/* The folder holds nothing but plain files. */
static int close_folder (void **state)
{
    (void) state;
    char command[256];
    snprintf (command, sizeof command, "rm -f %s/* && rmdir %s", folder, folder);
    return system (command);
}

static int open_folder (void **state)
{
    (void) state;
    strcpy (folder, "/tmp/test_codegen_XXXXXX");
    return mkdtemp (folder) == NULL ? -1 : 0;
}

static void refuses (const char *text, const char *wanted)
{
    char output[OUTPUT_SIZE];
    put ("bad.cddl", text);
    int status = run ("", "bad.cddl", output);
    if (status != 2 || strstr (output, wanted) == NULL)
        fail_msg ("exit %d, said: %swanted: %s", status, output, wanted);
}

static void test_codegen__makes_structs_and_tables (void **state)
{
    (void) state;
    char output[OUTPUT_SIZE];
    put ("pet.cddl", "; A pet.\npet = {\n  &(id: 1) => pet-id,\n  ? &(note: 2) => tstr .size (0..9), ; in few words\n"
                     "  &(toys: 3) => [1*4 toy],\n  &(mood: 4) => pet-mood,\n}\npet-id = bstr .size 16\n"
                     "toy = { &(weight: 1) => -5..5 }\npet-mood = &(calm: 1,\n  wild: 3)\n"
                     "method-pet-get = [ \"pet.Get\", 7, pet, toy, \"read\", \"id:id\" ]\n");
    assert_int_equal (run ("", "pet.cddl", output), 0);
    assert_string_equal (output, "");
    get ("pet.h", output);
    assert_non_null (strstr (output, "/* A pet. */\nstruct pet {\n    struct id id;\n    bool has_note;\n"
                                     "    struct bytes note; /* in few words */\n    struct toy *toys; /* 1..4 */\n"
                                     "    size_t toys_count;\n    uint64_t mood; /* enum pet_mood */\n};\n"));
    assert_non_null (strstr (output, "PET_MOOD_WILD = 3,"));
    assert_true (strstr (output, "struct toy {\n    int64_t weight;\n};") < strstr (output, "struct pet {"));
    get ("pet.c", output);
    assert_non_null (strstr (output, "must be a text of 0..9 bytes"));
    assert_non_null (strstr (output, "must be one of calm, wild"));
    get ("methods.h", output);
    assert_non_null (strstr (output, "METHOD_NUMBER_PET_GET = 7,"));
}

static void test_codegen__check_sees_every_difference (void **state)
{
    (void) state;
    char output[OUTPUT_SIZE];
    put ("one.cddl", "one = { &(a: 1) => uint }\n");
    assert_int_equal (run ("--check", "one.cddl", output), 1);
    assert_int_equal (run ("", "one.cddl", output), 0);
    assert_int_equal (run ("--check", "one.cddl", output), 0);
    put ("one.cddl", "one = { &(a: 1) => 0..4 }\n");
    assert_int_equal (run ("--check", "one.cddl", output), 1);
    assert_non_null (strstr (output, "one.c"));
    assert_null (strstr (output, "methods"));
    assert_int_equal (run ("--check", "one.cddl", output), 1); /* it did not write */
}

static void test_codegen__does_not_depend_on_the_order_of_files (void **state)
{
    (void) state;
    char output[OUTPUT_SIZE];
    put ("b.cddl", "two = { &(one: 1) => one }\n");
    put ("a.cddl", "one = { &(n: 1) => uint }\n");
    assert_int_equal (run ("", "b.cddl a.cddl", output), 0);
    assert_int_equal (run ("--check", "a.cddl b.cddl", output), 0);
    get ("b.h", output);
    assert_non_null (strstr (output, "#include \"schemas/generated/a.h\""));
}

static void test_codegen__refuses_what_has_no_bound (void **state)
{
    (void) state;
    refuses ("a = { &(x: 1) => tstr }\n", "bad.cddl:1: every tstr and bstr has a bound");
    refuses ("a = {\n &(x: 1) => bstr,\n}\n", "bad.cddl:2: every tstr and bstr has a bound");
    refuses ("a = { &(x: 1) => [* uint] }\n", "bad.cddl:1: every array has a bound");
    refuses ("a = { &(x: 1) => [1* uint] }\n", "bad.cddl:1: every array has a bound");
    refuses ("a = { &(x: 1) => [uint] }\n", "bad.cddl:1: every array has a bound");
    refuses ("a = { &(x: 1) => tstr .size (5..2) }\n", "bad.cddl:1: the bound is empty");
    refuses ("a = { &(x: 1) => [4*2 uint] }\n", "bad.cddl:1: the bound of the array is empty");
    refuses ("a = { &(x: 1) => 9..3 }\n", "bad.cddl:1: the range is empty");
    refuses ("a = { &(x: 1) => 5..-3 }\n", "bad.cddl:1: the range is empty");
    refuses ("b = bstr .size (0..1000000)\na = { &(x: 1) => [0*1000000 b] }\n", "bad.cddl:2: a could encode to more");
}

static void test_codegen__refuses_wrong_keys_and_names (void **state)
{
    (void) state;
    refuses ("a = { &(x: 1) => uint,\n &(y: 1) => uint }\n", "bad.cddl:2: number 1 appears twice");
    refuses ("a = { &(x: 2) => uint,\n &(y: 1) => uint }\n", "bad.cddl:2: numbers must ascend");
    refuses ("a = &(x: 1, y: 1)\n", "bad.cddl:1: number 1 appears twice");
    refuses ("a = &(x: 1, x: 2)\n", "bad.cddl:1: two values are called x");
    refuses ("a = { &(x: 1) => uint, &(x: 2) => uint }\n", "bad.cddl:1: two C members would be called x");
    refuses ("a = { ? &(x: 1) => uint, &(has_x: 2) => uint }\n", "bad.cddl:1: two C members would be called has_x");
    refuses ("a = { &(int: 1) => uint }\n", "bad.cddl:1: 'int' is a word of C");
    refuses ("a = { &(x: 1) => uint }\n\na = { }\n", "bad.cddl:3: rule a is already at bad.cddl:1");
    refuses ("a-b = { }\na_b = { }\n", "bad.cddl:2: rule a_b is already at bad.cddl:1");
    refuses ("a = { &(x: 1) => b }\n", "bad.cddl:1: there is no type 'b'");
    refuses ("tstr = { }\n", "bad.cddl:1: 'tstr' is taken");
    refuses ("a = { &(x: 4294967296) => uint }\n", "bad.cddl:1: a key has at most 32 bits");
}

static void test_codegen__refuses_recursion_and_depth (void **state)
{
    (void) state;
    refuses ("a = { ? &(x: 1) => a }\n", "bad.cddl:1: rule a contains itself");
    refuses ("a = { &(x: 1) => b }\nb = { &(y: 1) => [0*2 a] }\n", "bad.cddl:1: rule a contains itself");
    refuses ("a = b\nb = a\n", "bad.cddl:1: rule a contains itself");
    refuses ("a = { &(x: 1) => b }\nb = { &(x: 1) => c }\nc = { &(x: 1) => d }\nd = { &(x: 1) => e }\n"
             "e = { &(x: 1) => f }\nf = { &(x: 1) => g }\ng = { &(x: 1) => h }\nh = { &(x: 1) => i }\ni = { }\n",
        "bad.cddl:1: maps are nested deeper than 8");
    char output[OUTPUT_SIZE];
    put ("p.cddl", "p = { &(x: 1) => q2 }\np2 = { }\n");
    put ("q.cddl", "q = { &(x: 1) => p2 }\nq2 = { }\n");
    assert_int_equal (run ("", "p.cddl q.cddl", output), 2);
    assert_non_null (strstr (output, "use each other's"));
}

static void test_codegen__refuses_the_rest_of_cddl (void **state)
{
    (void) state;
    refuses ("a = { x: uint }\n", "bad.cddl:1: '&' was expected");
    refuses ("a = { 1 => uint }\n", "bad.cddl:1: '&' was expected");
    refuses ("a = { &(x: 1) => uint / tstr }\n", "bad.cddl:1: character 0x2f");
    refuses ("a = { &(x: 1) => { &(y: 1) => uint } }\n", "bad.cddl:1: a map inside a map needs a name");
    refuses ("a = { &(x: 1) => [0*2 [0*2 uint]] }\n", "bad.cddl:1: an array of arrays");
    refuses ("a = { * uint => uint }\n", "bad.cddl:1: '&' was expected");
    refuses ("a = { &(x: 1) => uint .size 4 }\n", "bad.cddl:1: '.size' has no place here");
    refuses ("a = { &(x: 1) => tstr .regexp \"x\" }\n", "bad.cddl:1: every tstr and bstr has a bound");
    refuses ("a = { &(x: 1) => 1...4 }\n", "bad.cddl:1: character 0x2e");
    refuses ("a = { &(x: 1) => 0x10 }\n", "bad.cddl:1: numbers are plain decimal");
    refuses ("a = { &(x: 1) => 18446744073709551616 }\n", "bad.cddl:1: the number does not fit 64 bits");
    refuses ("a<b> = uint\n", "bad.cddl:1: character 0x3c");
    refuses ("a //= uint\n", "bad.cddl:1: character 0x2f");
    refuses ("A = uint\n", "bad.cddl:1: character 0x41");
    refuses ("a = { &(x: 1) => uint\n &(y: 2) => uint }\n", "bad.cddl:2: ',' or '}' was expected");
    refuses ("a = {", "bad.cddl:1: '&' was expected");
    refuses ("a = \"text\"\n", "bad.cddl:1: a type was expected");
    refuses ("; all */ over\na = uint\n", "bad.cddl:1: a comment must not hold");
}

static void test_codegen__refuses_wrong_methods (void **state)
{
    (void) state;
    static const char maps[] = "q = { &(id: 1) => bstr .size 16, &(name: 2) => tstr .size (1..9) }\n";
    static const struct {
        const char *method, *wanted;
    } cases[] = {
        {"[ \"m.A\", 1, q, q, \"read\", \"none\" ]", "needs a route"},
        {"[ \"m.A\", 1, q, q, \"often\", \"none\" ]", "'often' is not a class"},
        {"[ \"m.A\", 1, q, q, \"read\", \"id:nope\" ]", "names no field of q"},
        {"[ \"m.A\", 1, q, q, \"read\", \"id:name\" ]", "must end at a 16-byte id"},
        {"[ \"m.A\", 1, q, q, \"read\", \"login:id\" ]", "must end at a text"},
        {"[ \"m.A\", 1, q, q, \"read\", \"id:id.id\" ]", "names no field"},
        {"[ \"m.A\", 1, q, q, \"read\", \"key:id\" ]", "a route is"},
        {"[ \"m.A\", 1, q, zz, \"read\", \"id:id\" ]", "'zz' is not a map"},
        {"[ \"m.A\", 0, q, q, \"read\", \"id:id\" ]", "a method's number is"},
        {"[ \"m.A\", 1, q, q, \"read\" ]", "',' was expected"},
        {"[ \"m.A\", 1, q, q, \"read\", \"id:id\" ]\nmethod-n = [ \"m.B\", 1, q, q, \"local\", \"none\" ]",
            "is already method-m's"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf (text, sizeof text, "%smethod-m = %s\n", maps, cases[i].method);
        refuses (text, cases[i].wanted);
    }
}

int main (void)
{
    /* <build>/test/test_codegen -> <build>/schemas/codegen/maitred_codegen */
    ssize_t len = readlink ("/proc/self/exe", generator, 4096);
    if (len <= 0)
        return 1;
    generator[len] = '\0';
    *strrchr (generator, '/') = '\0';
    strcpy (strrchr (generator, '/'), "/schemas/codegen/maitred_codegen");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_codegen__makes_structs_and_tables, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (test_codegen__check_sees_every_difference, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (
            test_codegen__does_not_depend_on_the_order_of_files, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (test_codegen__refuses_what_has_no_bound, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (test_codegen__refuses_wrong_keys_and_names, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (test_codegen__refuses_recursion_and_depth, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (test_codegen__refuses_the_rest_of_cddl, open_folder, close_folder),
        cmocka_unit_test_setup_teardown (test_codegen__refuses_wrong_methods, open_folder, close_folder),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
