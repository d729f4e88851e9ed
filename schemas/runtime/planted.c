#include "schemas/runtime/planted.h"

#ifdef MAITRED_PLANTED
enum planted planted_chosen = PLANTED_NONE;
#endif
