/* What the library was made of: see digest() in this folder's __init__.py. */

#include "kernels.h"

#ifndef SOURCES
#define SOURCES ""
#endif

EXPORT const char *gossamer_sources = SOURCES;
