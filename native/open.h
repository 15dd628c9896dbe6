// Trains to rows: finds the key slot of each datagram, opens or decapsulates it, checks the replay
// window and the inner header, and coalesces what belongs together. `open` of src/native.ts.
#pragma once
#include "aead.h"
#include "layout.h"

namespace hawser {

// Opens all datagrams of trains [first_train, end_train) and fills rows from 0 on. Returns the
// number of rows.
int32_t Open(Context& c, AeadState& a, int32_t first_train, int32_t end_train, double now_ms);

}  // namespace hawser
