// What was made of the keys of slots, kept by slot and direction: OpenSSL's contexts, and the
// expanded keys of kernels that have such a form. Each is tagged with the generation of its slot: a
// slot that was reused is keyed anew at the next touch, and what was left behind is freed bit by
// bit. Whatever is freed or replaced is wiped. Not to be shared between threads.
#pragma once
#include <vector>

#include "aead-kernel.h"
#include "aead-openssl.h"

namespace hawser {

class KeyCache {
 public:
  KeyCache();
  ~KeyCache();
  KeyCache(const KeyCache&) = delete;
  KeyCache& operator=(const KeyCache&) = delete;

  // The keyed context of a slot. Null: the slot has no cipher, or there is no memory.
  EVP_CIPHER_CTX* Context(const Slot& slot, uint32_t slot_number, Direction direction);

  // The expanded key of a slot for a kernel. Null: no memory.
  const uint8_t* Expanded(const Slot& slot, uint32_t slot_number, Direction direction,
                          const AeadKernel& kernel);

  // Ends a batch: what it replaced is freed now, because its jobs may have pointed to it.
  void FreeRetired();

  // Looks at one entry and frees it when its slot is free or has another key by now, so that old
  // keys do not stay behind.
  void SweepOne(const Slot* slots);

 private:
  struct Keys {
    EVP_CIPHER_CTX* context;
    uint8_t* expanded;
    size_t expanded_bytes;
  };
  struct Entry {
    Keys keys;
    uint32_t generation, method;
    bool live;
  };

  Entry& Touch(const Slot& slot, uint32_t number);
  void AddLive(uint32_t number);
  void Clear(Entry& entry);

  EVP_CIPHER* ciphers_[kAes256Gcm + 1] = {};
  // By slot * 2 + direction. Zero pages cost nothing until they are touched.
  Entry* entries_;
  // Numbers of the entries that are live (may hold something), and where the next look at an old
  // one falls.
  std::vector<uint32_t> live_;
  size_t hand_ = 0;
  std::vector<Keys> retired_;
};

}  // namespace hawser
