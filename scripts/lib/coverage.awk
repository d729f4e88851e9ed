# Adds up gcov's annotated text (--stdout, branches and counts) of many object files; see scripts/coverage.
#
# Variables: root (the source folder, with a slash at its end), tree (where gcov's relative paths start), floors ("ROOM=PERCENT ..."),
# json (0 or 1), html (a folder or nothing), missing (part of a path or nothing).

# An absolute path without . and ..
function absolute(path,    parts, n, i, kept, out, top) {
    if (path !~ /^\//)
        path = tree "/" path
    n = split(path, parts, "/")
    top = 0
    for (i = 1; i <= n; i++) {
        if (parts[i] == ".." && top > 0)
            top--
        else if (parts[i] != "" && parts[i] != "." && parts[i] != "..")
            kept[++top] = parts[i]
    }
    out = ""
    for (i = 1; i <= top; i++)
        out = out "/" kept[i]
    return out
}

function room_of(path,    parts) {
    split(path, parts, "/")
    return parts[1] "/" parts[2]
}

# An assertion's branches do not count: follows its parentheses over the lines.
function assertion(text,    at, i, c, inside) {
    inside = depth > 0
    at = 1
    if (!inside) {
        at = match(text, /maitre_assert \(/)
        if (at == 0 || text ~ /^ *# *define/)
            return 0
    }
    for (i = at; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(")
            depth++
        else if (c == ")" && --depth == 0)
            break
    }
    return 1
}

function percent(part, whole) { return whole == 0 ? 100 : 100 * part / whole }

function escaped(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}

/^ *-: +0:Source:/ {
    file = absolute(substr($0, index($0, "Source:") + 7))
    counted = index(file, root) == 1
    file = substr(file, length(root) + 1)
    if (file !~ /^(schemas|router|node|client)\/[a-z]+\// || file ~ /^schemas\/(codegen|generated)\//)
        counted = 0
    line = 0
    depth = 0
    next
}

/^ *([0-9]+\*?|-|#####|=====|\$\$\$\$\$|%%%%%): *[0-9]+:/ {
    if (!counted)
        next
    split($0, fields, ":")
    line = fields[2] + 0
    if (line == 0)
        next
    text = substr($0, length(fields[1]) + length(fields[2]) + 3)
    source[file, line] = text
    if (line > last_line[file])
        last_line[file] = line
    excused = assertion(text)
    if (fields[1] !~ /-/ && !excused) {
        gsub(/[^0-9]/, "", fields[1])
        lines[file, line] += fields[1] + 0
        line_known[file, line] = 1
    }
    next
}

/^branch +[0-9]+ / {
    if (!counted || line == 0 || excused)
        next
    key = file SUBSEP line SUBSEP $2
    if ($2 + 1 > branches[file, line])
        branches[file, line] = $2 + 1
    branch_known[key] = 1
    if ($3 == "taken")
        taken[key] += $4
}

END {
    for (file in last_line) {
        n = last_line[file]
        for (line = 1; line <= n; line++) {
            if ((file, line) in line_known) {
                file_lines[file]++
                if (lines[file, line] > 0)
                    file_run[file]++
            }
            for (b = 0; b < branches[file, line]; b++) {
                key = file SUBSEP line SUBSEP b
                if (!(key in branch_known))
                    continue
                file_branches[file]++
                if (taken[key] > 0)
                    file_taken[file]++
                else
                    untaken[file, line]++
            }
        }
        room = room_of(file)
        add(room, file)
        if (file ~ /^node\/services\/sessions[a-z_]*\.[ch]$/)
            add("node/services/sessions", file)
    }
    if (missing != "") {
        show_missing()
        exit 0
    }
    count = sorted(rooms, order)
    if (html != "")
        write_pages()
    split(floors, pairs, " ")
    for (i in pairs) {
        split(pairs[i], pair, "=")
        floor_of[pair[1]] = pair[2]
    }
    bad = 0
    if (json)
        printf "{\"rooms\":["
    else
        printf "%-26s %8s %8s %9s %9s %7s\n", "room", "lines", "%", "branches", "%", "floor"
    for (i = 1; i <= count; i++) {
        room = order[i]
        reached = percent(room_taken[room], room_branches[room])
        has_floor = room in floor_of
        low = has_floor && reached < floor_of[room]
        if (json)
            printf "%s{\"room\":\"%s\",\"lines\":%d,\"lines_run\":%d,\"branches\":%d,\"branches_taken\":%d,\"branch_percent\":%.2f,\"floor\":%s}",
                (i > 1 ? "," : ""), room, room_lines[room], room_run[room], room_branches[room], room_taken[room], reached,
                has_floor ? floor_of[room] : "null"
        else
            printf "%-26s %8d %8.1f %9d %9.1f %7s%s\n", room, room_lines[room], percent(room_run[room], room_lines[room]),
                room_branches[room], reached, has_floor ? floor_of[room] : "-", low ? "  BELOW" : ""
        if (low) {
            bad = 1
            worst = worst sprintf("coverage: %s reaches %.2f %% of its branches, its floor is %d %%\n", room, reached, floor_of[room])
        }
    }
    for (room in floor_of)
        if (room_branches[room] == 0) {
            bad = 1
            worst = worst sprintf("coverage: nothing was counted in %s, which has a floor\n", room)
        }
    if (json)
        printf "],\"ok\":%s}\n", bad ? "false" : "true"
    printf "%s", worst >"/dev/stderr"
    exit bad
}

function add(room, file) {
    rooms[room] = 1
    room_lines[room] += file_lines[file]
    room_run[room] += file_run[file]
    room_branches[room] += file_branches[file]
    room_taken[room] += file_taken[file]
}

function sorted(set, out,    n, i, j, name) {
    n = 0
    for (name in set) {
        for (i = ++n; i > 1 && out[i - 1] > name; i--)
            out[i] = out[i - 1]
        out[i] = name
    }
    return n
}

function show_missing(    n, i, names) {
    n = sorted(last_line, names)
    for (i = 1; i <= n; i++) {
        file = names[i]
        if (index(file, missing) == 0)
            continue
        printf "%s: %d of %d branches taken\n", file, file_taken[file], file_branches[file]
        for (line = 1; line <= last_line[file]; line++) {
            if (untaken[file, line] == 0)
                continue
            list = ""
            for (b = 0; b < branches[file, line]; b++) {
                key = file SUBSEP line SUBSEP b
                if (key in branch_known)
                    list = list (taken[key] > 0 ? "+" : "-")
            }
            printf "%s:%d: %s %s\n", file, line, list, source[file, line]
        }
    }
}

function write_pages(    n, i, names, page, style, mark) {
    style = "<meta charset=utf-8><style>body{font:13px monospace;margin:1em}td{padding:0 .8em;text-align:right}" \
        "td:first-child{text-align:left}pre{margin:0}.never{background:#fbb}.part{background:#fe9}</style>"
    index_page = html "/index.html"
    print "<!doctype html><title>maitred: coverage</title>" style "<table><tr><td>file<td>lines %<td>branches<td>%" >index_page
    n = sorted(last_line, names)
    for (i = 1; i <= n; i++) {
        file = names[i]
        page = file
        gsub(/\//, "_", page)
        printf "<tr><td><a href=\"%s.html\">%s</a><td>%.1f<td>%d<td>%.1f\n", page, file, percent(file_run[file], file_lines[file]),
            file_branches[file], percent(file_taken[file], file_branches[file]) >index_page
        page = html "/" page ".html"
        print "<!doctype html><title>" file "</title>" style "<p>" file ": red, never run; yellow, some of its branches never taken" >page
        for (line = 1; line <= last_line[file]; line++) {
            mark = ""
            shown = ""
            if ((file, line) in line_known)
                shown = lines[file, line]
            if (((file, line) in line_known) && lines[file, line] == 0)
                mark = " class=never"
            else if (untaken[file, line] > 0)
                mark = " class=part title=\"" untaken[file, line] " of " branches[file, line] " never taken\""
            printf "<pre%s>%10s %5d  %s</pre>\n", mark, shown, line, escaped(source[file, line]) >page
        }
        close(page)
    }
    close(index_page)
}
