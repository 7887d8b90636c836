// The rules of each file, which rules.cpp joins to one list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "striate/answers/rules.h"

namespace striate {

std::vector<ScoringRule> exact_rules();     // rules_exact.cpp
std::vector<ScoringRule> vqa_rules();       // rules_vqa.cpp
std::vector<ScoringRule> distance_rules();  // rules_distance.cpp
std::vector<ScoringRule> yes_no_rules();    // rules_yes_no.cpp
std::vector<ScoringRule> letter_rules();    // rules_letter.cpp
std::vector<ScoringRule> mmmu_rules();      // rules_mmmu.cpp
std::vector<ScoringRule> mmbench_rules();   // rules_mmbench.cpp
std::vector<ScoringRule> number_rules();    // rules_number.cpp
std::vector<ScoringRule> box_rules();       // rules_box.cpp

// VLMEvalKit's process_punctuation() by itself.
std::string without_vlmevalkit_punctuation(std::string_view text);

// 1 where one of the references equals `parsed`.
Judgement judged_equal(const Question& question, std::string parsed);

}  // namespace striate
