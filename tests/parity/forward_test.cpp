// Forward passes and generation against the goldens.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "striate/infer/generate.h"
#include "striate/model/load.h"
#include "striate/text/conversation.h"
#include "tests/parity/golden.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

// Tensors that concern training (gradient_test.cpp), scores and pruning: compared by the tests of those rooms.
bool concerns_another_room(const std::string& name) {
  for (const char* prefix : {"grad.", "lora.grad.", "llm_grad_norms", "train.", "metric.", "param_change", "prune.",
                             "image_attention_score"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

// Everything one forward pass over a case's samples gives, as the goldens lay it out.
class ForwardPass {
 public:
  ForwardPass(const Golden& golden, const Lvlm& model) : model_(model), samples_(golden.samples(model)) {
    for (const Sample& sample : samples_) expanded_.push_back(expand_images(sample));
    batch_ = pack(samples_);
    const at::Tensor is_image = batch_.token_ids.eq(kImageToken);
    ImageAttentionMass attention(batch_.cu_seqlens, model.config().decoder.sliding_window, is_image);
    stream_ = model.forward(batch_, attention,
                            [&](std::int64_t, const at::Tensor& x) { states_.push_back(x.to(at::kFloat)); });
    mass_ = at::stack(attention.mass());
    logits_ = model.logits(stream_).cpu();
  }

  // Rows of a stream tensor [N, ...] as [samples, T, ...], zero where a sample is shorter.
  at::Tensor unpacked(const at::Tensor& rows) const {
    if (samples_.size() == 1) return rows;
    std::vector<at::Tensor> parts;
    const at::Tensor bounds = batch_.cu_seqlens;
    for (std::int64_t s = 0; s < batch_.samples(); ++s) {
      parts.push_back(rows.slice(0, bounds[s].item<std::int64_t>(), bounds[s + 1].item<std::int64_t>()));
    }
    return at::pad_sequence(parts, /*batch_first=*/true);
  }

  at::Tensor labels() const {
    std::vector<at::Tensor> parts;
    for (const ExpandedSample& e : expanded_) parts.push_back(at::tensor(e.labels, at::kLong));
    return at::pad_sequence(parts, true, static_cast<double>(kIgnoreLabel)).squeeze(0);
  }
  at::Tensor mask() const { return unpacked(at::ones({batch_.tokens()}, at::kLong)); }
  at::Tensor token_nll() const {
    at::Tensor nll = at::zeros({batch_.tokens()});
    nll.index_copy_(0, batch_.target_slots, model_.target_nll(stream_, batch_).cpu());
    return nll.slice(0, 0, batch_.tokens() - 1);
  }
  at::Tensor loss() const { return model_.target_nll(stream_, batch_).mean(); }

  const Lvlm& model_;
  std::vector<Sample> samples_;
  std::vector<ExpandedSample> expanded_;
  PackedBatch batch_;
  at::Tensor stream_, logits_, mass_;
  std::vector<at::Tensor> states_;
};

at::Tensor stacked_features(const std::vector<Sample>& samples) {
  std::vector<at::Tensor> rows;
  for (const Sample& sample : samples) rows.insert(rows.end(), sample.images.begin(), sample.images.end());
  return at::cat(rows);
}

struct Generated {
  at::Tensor ids;
  at::Tensor logits;
};

Generated generate(const Golden& golden, const Lvlm& model) {
  Sample prompt = golden.samples(model).front();
  prompt.input_ids.resize(static_cast<std::size_t>(golden.load("prompt_len").item<std::int64_t>()));
  prompt.labels.clear();
  Generator generator(model, nullptr);
  GenerationOptions options;
  options.max_tokens = golden.load("generated").numel();
  std::vector<at::Tensor> logits;
  GenerationCallbacks callbacks;
  callbacks.on_logits = [&](const at::Tensor& row) { logits.push_back(row); };
  const GenerationResult result = generator.generate(prompt, options, callbacks);
  return {at::tensor(result.ids, at::kLong), at::stack(logits)};
}

// The same model with the golden's adapters around its linears.
std::unique_ptr<Lvlm> with_adapters(const Golden& golden) {
  auto model = load_golden_model(golden, Compute::kFloat32);
  const double scale = golden.json().at("lora").at("scaling");
  for (const std::string target : golden.json().at("lora").at("targets")) {
    const std::string rest = target.substr(std::string("layers.").size());
    const std::size_t dot = rest.find('.');
    DecoderLayer& layer = model->decoder().layers().at(std::stoul(rest.substr(0, dot)));
    const std::string name = rest.substr(dot + 1);
    for (const auto& [known, linear] : std::vector(layer.linears())) {
      if (known != name) continue;
      const at::Tensor a = golden.load("lora." + target + ".A").to(test_device());
      const at::Tensor b = golden.load("lora." + target + ".B").to(test_device());
      layer.replace_linear(name, std::make_shared<LoraLinear>(linear->matrix(), a, b, scale));
    }
  }
  return model;
}

std::unique_ptr<Lvlm> with_window(const Golden& golden) {
  ModelPaths paths;
  paths.model = golden.model_folder();
  Checkpoint checkpoint = open_checkpoint(paths);
  checkpoint.config.decoder.sliding_window = golden.load("sliding.window").item<std::int64_t>();
  return load_model(checkpoint, exact_placement());
}

class Parity : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Parity, ForwardAndGenerationMatchTheOriginalCode) {
  const Golden golden(GetParam());
  const auto model = load_golden_model(golden, Compute::kFloat32);
  const ForwardPass pass(golden, *model);
  const at::Tensor real = pass.mask().to(at::kBool);
  const std::map<std::string, std::function<void(const std::string&)>> comparisons = {
      {"vision_features", [&](auto& name) { golden.compare(name, stacked_features(pass.samples_)); }},
      {"projector_output", [&](auto& name) { golden.compare(name, model->project(stacked_features(pass.samples_))); }},
      {"labels_expanded", [&](auto& name) { golden.compare(name, pass.labels()); }},
      {"attention_mask_expanded", [&](auto& name) { golden.compare(name, pass.mask()); }},
      {"is_image", [&](auto& name) { golden.compare(name, pass.unpacked(pass.batch_.token_ids.eq(kImageToken))); }},
      {"position_ids", [&](auto& name) { golden.compare(name, pass.unpacked(pass.batch_.positions)); }},
      {"hidden_states", [&](auto& name) { golden.compare(name, at::stack(pass.states_)); }},
      {"final_norm", [&](auto& name) { golden.compare(name, model->decoder().final_norm(pass.stream_)); }},
      {"logits",
       [&](auto& name) {
         golden.compare(name, pass.unpacked(pass.logits_), real.unsqueeze(-1).expand_as(pass.unpacked(pass.logits_)));
       }},
      {"loss", [&](auto& name) { golden.compare(name, pass.loss()); }},
      {"token_nll", [&](auto& name) { golden.compare(name, pass.token_nll()); }},
      {"attn_image_mass", [&](auto& name) { golden.compare(name, pass.mass_); }},
      {"generated", [&](auto& name) { golden.compare(name, generate(golden, *model).ids); }},
      {"generated_logits", [&](auto& name) { golden.compare(name, generate(golden, *model).logits); }},
      {"lora.logits", [&](auto& name) { golden.compare(name, ForwardPass(golden, *with_adapters(golden)).logits_); }},
      {"lora.loss", [&](auto& name) { golden.compare(name, ForwardPass(golden, *with_adapters(golden)).loss()); }},
      {"sliding.logits_last",
       [&](auto& name) { golden.compare(name, ForwardPass(golden, *with_window(golden)).logits_[-1]); }},
      {"sliding.loss", [&](auto& name) { golden.compare(name, ForwardPass(golden, *with_window(golden)).loss()); }},
  };
  for (const std::string& name : golden.expected()) {
    if (concerns_another_room(name)) continue;
    const auto found = comparisons.find(name);
    if (found == comparisons.end()) {
      ADD_FAILURE() << golden.name() << ": nothing compares the expected tensor " << name;
      continue;
    }
    found->second(name);
  }
}

TEST_P(Parity, BFloat16KeepsTheDirectionOfTheLogitsAndClearChoices) {
  const Golden golden(GetParam());
  const auto model = load_golden_model(golden, Compute::kBFloat16);
  const ForwardPass pass(golden, *model);
  const at::Tensor real = pass.mask().to(at::kBool);
  const at::Tensor got = pass.unpacked(pass.logits_).masked_select(real.unsqueeze(-1));
  const at::Tensor want = golden.load("logits").masked_select(real.unsqueeze(-1));
  EXPECT_GE(at::cosine_similarity(got, want, 0).item<double>(), 0.999);
  if (!golden.has("generated")) return;
  // Greedy tokens follow the fp32 ones until the first choice closer than bf16 can tell apart.
  const at::Tensor choices = golden.load("generated_logits");
  const at::Tensor margins = std::get<0>(choices.topk(2)).select(1, 0) - std::get<0>(choices.topk(2)).select(1, 1);
  const double tellable = 0.05 * choices.abs().max().item<double>();
  const at::Tensor ids = generate(golden, *model).ids;
  const at::Tensor wanted = golden.load("generated");
  for (std::int64_t i = 0; i < wanted.numel() && margins[i].item<double>() > tellable; ++i) {
    EXPECT_EQ(ids[i].item<std::int64_t>(), wanted[i].item<std::int64_t>()) << golden.name() << ": token " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Parity, testing::ValuesIn(Golden::all_cases()), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Parity);

TEST(PackedStream, PackedEqualsOneAtATime) {
  std::map<std::filesystem::path, std::vector<std::filesystem::path>> by_model;
  for (const auto& folder : Golden::all_cases()) by_model[Golden(folder).model_folder()].push_back(folder);
  for (const auto& [model_folder, cases] : by_model) {
    const auto model = load_golden_model(Golden(cases.front()), Compute::kFloat32);
    std::vector<Sample> samples;
    for (const auto& folder : cases) {
      // Twice each, so that every model packs several.
      for (int copy = 0; copy < 2; ++copy) {
        for (Sample& sample : Golden(folder).samples(*model)) samples.push_back(std::move(sample));
      }
    }
    const PackedBatch batch = pack(samples);
    const at::Tensor together = model->logits(model->forward(batch));
    for (std::size_t s = 0; s < samples.size(); ++s) {
      const at::Tensor alone = model->logits(model->forward(pack(std::span(&samples[s], 1))));
      const auto begin = batch.cu_seqlens[static_cast<std::int64_t>(s)].item<std::int64_t>();
      const at::Tensor part = together.slice(0, begin, begin + alone.size(0));
      EXPECT_LE((part - alone).abs().max().item<double>(), 2e-4) << model_folder << ", sample " << s;
    }
  }
}

TEST(Goldens, HoldAtLeastOneCase) {
  EXPECT_FALSE(Golden::all_cases().empty());
}

}  // namespace
}  // namespace striate::test
