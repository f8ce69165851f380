// The hot loops are compiled once per instruction set, each time with FLUSHPOINT_ARCH naming another inline namespace:
// no two copies of a function share a symbol, so the linker cannot hand one processor's code to another.
#pragma once

#ifndef FLUSHPOINT_ARCH
#define FLUSHPOINT_ARCH baseline
#endif
