/* What the library was made of: see digest() in this folder's __init__.py. */

#ifndef SOURCES
#define SOURCES ""
#endif

__attribute__((visibility("default"))) const char *gossamer_sources = SOURCES;
