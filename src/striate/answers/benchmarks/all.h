// Every benchmark, each from the file of its name.
#pragma once

#include "striate/answers/benchmark.h"

namespace striate {

Benchmark bbh_benchmark();
Benchmark ceval_benchmark();
Benchmark cmmlu_benchmark();
Benchmark docvqa_benchmark();
Benchmark gqa_benchmark();
Benchmark gsm8k_benchmark();
Benchmark llava_json_benchmark();
Benchmark mmbench_benchmark();
Benchmark mini_benchmark();
Benchmark mini_text_benchmark();
Benchmark mini_words_benchmark();
Benchmark mme_benchmark();
Benchmark mmlu_benchmark();
Benchmark mmmu_benchmark();
Benchmark ocrvqa_benchmark();
Benchmark perplexity_benchmark();
Benchmark pope_benchmark();
Benchmark refcoco_benchmark();
Benchmark scienceqa_benchmark();
Benchmark seed_benchmark();
Benchmark tdiuc_benchmark();
Benchmark textvqa_benchmark();
Benchmark vqav2_benchmark();

}  // namespace striate
