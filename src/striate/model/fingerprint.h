// Fingerprints, which identify a model's weights without reading all of them.
//
// A fingerprint is a SHA-256 over every tensor's canonical name, shape, type and a sample of its bytes: all of them for
// tensors up to 64 KiB, else eight blocks of 4 KiB from the first to the last. It does not depend on file names, on
// sharding, on the file format or on the naming scheme. For a model of 7 billion parameters 10 MB are read.
#pragma once

#include <string>
#include <vector>

#include "striate/model/load.h"

namespace striate {

class AdapterFile;

// Of everything that the checkpoint's model is made of (what lies beside its adapter included, the adapter not).
// 64 hexadecimal digits. Throws as reading the tensors does.
std::string weights_fingerprint(const Checkpoint& checkpoint);

// The same of an adapter: its matrices, for which linears they are and how they are scaled. What was trained beside
// them is part of its checkpoint's fingerprint.
std::string adapter_fingerprint(const AdapterFile& adapter);

// The decoder's layers and final norm: what an adapter belongs to, whichever projector, tower or padding of the
// vocabulary goes with it.
struct DecoderFingerprint {
  std::string shapes;         // SHA-256 of the tensors' names and shapes
  std::string content;        // the fingerprint
  std::string dtypes;         // the types of its tensors, such as "BFloat16", "Float, Half"
  std::vector<float> sample;  // the middle values of up to 64 tensors, in the order of the names

  // Whether the weights are the same: the same fingerprint, or, where the types differ, the same shapes and values that
  // differ by no more than rounding does.
  bool same_weights(const DecoderFingerprint& other) const;
};

DecoderFingerprint decoder_fingerprint(const Checkpoint& checkpoint);

}  // namespace striate
