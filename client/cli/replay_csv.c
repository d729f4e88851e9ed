/* CSV without quotes, as the recorded files are.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/cli/json_value.h"
#include "client/cli/replay.h"

int replay_csv_bad (const struct replay_csv *csv, const char *what)
{
    return cli_complain (
        CLI_USAGE, "%s:%llu: %s; see maitre replay --help", csv->path, (unsigned long long) csv->line, what);
}

static bool next_line (struct replay_csv *csv)
{
    if (fgets (csv->text, sizeof csv->text, csv->file) == NULL)
        return false;
    csv->line++;
    csv->text[strcspn (csv->text, "\r\n")] = '\0';
    return true;
}

bool replay_csv_open (struct replay_csv *csv, const char *path, const char *header)
{
    *csv = (struct replay_csv){.path = path, .file = fopen (path, "re")};
    if (csv->file == NULL) {
        cli_complain (CLI_USAGE, "cannot read %s: %s; give the path of the file", path, strerror (errno));
        return false;
    }
    if (next_line (csv) && strcmp (csv->text, header) == 0)
        return true;
    cli_complain (CLI_USAGE, "the first line of %s must be %s", path, header);
    fclose (csv->file);
    csv->file = NULL;
    return false;
}

int replay_csv_next (struct replay_csv *csv, int fields)
{
    if (!next_line (csv))
        return 0;
    char *rest = csv->text;
    int count = 0;
    while (rest != NULL && count < REPLAY_FIELDS_MAX)
        csv->fields[count++] = strsep (&rest, ",");
    if (count == fields && rest == NULL)
        return 1;
    replay_csv_bad (csv, "the line has another number of fields than the first one");
    return -1;
}

long replay_days (const char *text)
{
    int year;
    unsigned month, day;
    char rest;
    if (sscanf (text, "%4d-%2u-%2u%c", &year, &month, &day, &rest) != 3)
        return -1;
    return json_value_days (year, month, day);
}
