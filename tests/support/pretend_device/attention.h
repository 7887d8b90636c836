// References of the attention calls that CUDA alone has, with what CUDA refuses.
#pragma once

#include <torch/library.h>

namespace striate::test::pretend {

// Registers _flash_attention_forward and _flash_attention_backward in their form for packed streams (FlashAttention 2:
// Dao, arXiv 2307.08691), and what scaled_dot_product_attention becomes on a GPU: one call forward, one back.
void register_attention(torch::Library& library);

}  // namespace striate::test::pretend
