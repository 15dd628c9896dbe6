#include "aead-keys.h"

#include <openssl/crypto.h>

#include <cstdlib>

namespace hawser {
namespace {

// Entries kept at a time, both directions together; one is about 1 KB. Beyond, the oldest goes.
constexpr size_t kMaxEntries = 16384;

constexpr size_t kAlignment = 64;

}  // namespace

KeyCache::KeyCache() : entries_(static_cast<Entry*>(calloc(size_t{kSlots} * 2, sizeof(Entry)))) {
  for (uint32_t method : {kChaCha20Poly1305, kAes256Gcm}) ciphers_[method] = FetchCipher(method);
}

KeyCache::~KeyCache() {
  for (uint32_t number : live_) Clear(entries_[number]);
  FreeRetired();
  for (EVP_CIPHER* cipher : ciphers_) EVP_CIPHER_free(cipher);
  free(entries_);
}

EVP_CIPHER_CTX* KeyCache::Context(const Slot& slot, uint32_t slot_number, Direction direction) {
  const uint32_t method = slot.method;
  if (method > kAes256Gcm || ciphers_[method] == nullptr) return nullptr;
  const uint32_t number = slot_number * 2 + direction;
  Keys& keys = Touch(slot, number).keys;
  if (keys.context != nullptr) return keys.context;
  keys.context = EVP_CIPHER_CTX_new();
  if (keys.context == nullptr) return nullptr;
  const uint8_t* key = direction == kSeal ? slot.send_key : slot.receive_key;
  if (SetKey(keys.context, ciphers_[method], key, direction)) return keys.context;
  entries_[number].method = kMethodFree;  // matches no slot: keyed anew at the next touch
  return nullptr;
}

const uint8_t* KeyCache::Expanded(const Slot& slot, uint32_t slot_number, Direction direction,
                                  const AeadKernel& kernel) {
  const uint32_t number = slot_number * 2 + direction;
  Keys& keys = Touch(slot, number).keys;
  if (keys.expanded != nullptr) return keys.expanded;
  const size_t bytes = (kernel.key_bytes + kAlignment - 1) / kAlignment * kAlignment;
  keys.expanded = static_cast<uint8_t*>(aligned_alloc(kAlignment, bytes));
  if (keys.expanded == nullptr) return nullptr;
  keys.expanded_bytes = bytes;
  kernel.expand(direction == kSeal ? slot.send_key : slot.receive_key, keys.expanded);
  return keys.expanded;
}

// The entry of a slot and direction, emptied when it was of another key.
KeyCache::Entry& KeyCache::Touch(const Slot& slot, uint32_t number) {
  Entry& entry = entries_[number];
  if (entry.generation == slot.generation && entry.method == slot.method) return entry;
  const bool live = entry.live;
  Clear(entry);
  entry.generation = slot.generation;
  entry.method = slot.method;
  entry.live = live;
  if (!live) AddLive(number);
  return entry;
}

void KeyCache::SweepOne(const Slot* slots) {
  if (live_.empty()) return;
  if (hand_ >= live_.size()) hand_ = 0;
  const uint32_t number = live_[hand_];
  Entry& entry = entries_[number];
  const Slot& slot = slots[number / 2];
  // The slot may belong to nobody just now, and be written by the other worker.
  if (__atomic_load_n(&slot.generation, __ATOMIC_RELAXED) == entry.generation &&
      __atomic_load_n(&slot.method, __ATOMIC_RELAXED) == entry.method) {
    hand_++;
    return;
  }
  Clear(entry);
  live_[hand_] = live_.back();
  live_.pop_back();
}

// Adds an entry to the live ones, in place of the one at the hand when there are too many.
void KeyCache::AddLive(uint32_t number) {
  if (live_.size() < kMaxEntries) {
    live_.push_back(number);
  } else {
    if (hand_ >= live_.size()) hand_ = 0;
    Clear(entries_[live_[hand_]]);
    live_[hand_++] = number;
  }
  entries_[number].live = true;
}

void KeyCache::Clear(Entry& entry) {
  if (entry.keys.context != nullptr || entry.keys.expanded != nullptr) {
    retired_.push_back(entry.keys);
  }
  entry = {};
}

void KeyCache::FreeRetired() {
  for (const Keys& keys : retired_) {
    EVP_CIPHER_CTX_free(keys.context);  // cleanses the key
    if (keys.expanded != nullptr) OPENSSL_cleanse(keys.expanded, keys.expanded_bytes);
    free(keys.expanded);
  }
  retired_.clear();
}

}  // namespace hawser
