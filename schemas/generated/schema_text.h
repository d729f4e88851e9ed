/* Made by maitred_codegen from all CDDL files. Do not edit: change those files, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_SCHEMA_TEXT_H
#define MAITRED_SCHEMAS_GENERATED_SCHEMA_TEXT_H

#include "schemas/runtime/codec.h"

/* Every CDDL file, one after another. */
extern const char schema_text[];
extern const size_t schema_text_len;

/* Every map, by ascending name. */
extern const struct codec_type *const codec_types[];
extern const size_t codec_types_count;

/* The type of that C name ("reserve_item"), or NULL. */
const struct codec_type *codec_type_by_name (struct bytes name);

#endif
