// striate chat: one answer, or a conversation in the terminal.
#include <ATen/ops/stack.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/line_reader.h"
#include "apps/striate/model_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/infer/chat_session.h"
#include "striate/tensor/weight_file.h"

namespace striate::app {
namespace {

struct ChatFlags {
  ModelFlags model;
  ComputeFlags compute;
  std::vector<std::string> images;
  std::string prompt, logits, conversation, tokenizer, image_aspect;
  std::vector<std::string> stops;
  std::optional<std::int64_t> context;
  GenerationOptions generation;
  bool raw = false;
  bool json = false;
};

std::atomic<bool> interrupted = false;  // set by Ctrl-C while an answer streams

void on_interrupt(int /*signal*/) {
  interrupted = true;
}

ChatSettings settings_of(const ChatFlags& flags) {
  ChatSettings settings;
  settings.raw = flags.raw;
  if (!flags.conversation.empty()) settings.conversation = parse_template(flags.conversation);
  settings.context = flags.context;
  if (!flags.tokenizer.empty()) settings.tokenizer = flags.tokenizer;
  if (!flags.image_aspect.empty()) settings.pad_to_square = flags.image_aspect == "pad";
  return settings;
}

std::vector<std::filesystem::path> paths_of(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

std::string speed_line(const GenerationResult& result) {
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(), "[prompt %lld tokens, %.1f tokens/s; answer %zu tokens, %.1f tokens/s; %s]",
                static_cast<long long>(result.prompt_tokens), result.prompt_tokens_per_s(), result.ids.size(),
                result.decode_tokens_per_s(), stop_reason_name(result.stop).c_str());
  return line.data();
}

void write_logits(const std::string& file, const std::vector<at::Tensor>& rows) {
  if (rows.empty()) throw invalid_input("--logits with no token to generate", "give --max-tokens 1 or more");
  write_safetensors(file, {{"prompt", rows.front()}, {"steps", at::stack(rows)}});
}

// Prints an answer as it streams and gives up at Ctrl-C.
GenerationCallbacks streaming() {
  GenerationCallbacks callbacks;
  callbacks.on_text = [](const std::string& piece) {
    std::cout << piece << std::flush;
    return !interrupted.load();
  };
  return callbacks;
}

void answer_once(const ChatFlags& flags, ChatSession& session) {
  std::vector<at::Tensor> logits;
  GenerationCallbacks callbacks;
  if (!flags.json) callbacks = streaming();
  if (!flags.logits.empty()) {
    callbacks.on_logits = [&](const at::Tensor& row) { logits.push_back(row.clone()); };
  }
  const ChatAnswer answer = session.ask(flags.prompt, paths_of(flags.images), flags.generation, callbacks);
  if (!flags.logits.empty()) write_logits(flags.logits, logits);
  const GenerationResult& result = answer.result;
  if (!flags.json) {
    std::cout << std::endl;
    std::cerr << speed_line(result) << '\n';
    return;
  }
  // Text may end inside a character when the answer was cut by --max-tokens: such bytes become U+FFFD.
  const nlohmann::json line = {{"prompt_ids", answer.prompt_ids},
                               {"ids", result.ids},
                               {"text", result.text},
                               {"stop", stop_reason_name(result.stop)},
                               {"prompt_tokens", result.prompt_tokens},
                               {"prompt_tokens_per_s", result.prompt_tokens_per_s()},
                               {"decode_tokens_per_s", result.decode_tokens_per_s()}};
  std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void print_help() {
  std::cout << "/image FILE  show a picture with the next question\n"
               "/history     the conversation so far\n"
               "/reset       start anew\n"
               "/quit        leave (or Ctrl-D); Ctrl-C stops an answer\n";
}

void print_history(const ChatSession& session) {
  for (const Message& message : session.history()) {
    std::cout << (message.from == "human" ? "you:   " : "model: ") << message.value << '\n';
  }
}

// A conversation: true while it goes on.
class Terminal {
 public:
  Terminal(const ChatFlags& flags, ChatSession& session) : flags_(flags), session_(session) {
    for (const std::string& image : flags.images) add_image(image);
  }

  void run() {
    std::cout << "Ask away; /help shows what else there is.\n";
    LineReader reader;
    while (const auto line = reader.read("> ")) {
      const std::string text(trim(*line));
      if (text.empty()) continue;
      if (text == "/quit" || text == "/exit") return;
      try {
        handle(text);
      } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
        if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << '\n';
      }
    }
  }

 private:
  void handle(const std::string& text) {
    if (text == "/help") return print_help();
    if (text == "/history") return print_history(session_);
    if (text == "/reset") {
      pending_.clear();
      return session_.reset();
    }
    if (text.starts_with("/image")) return add_image(std::string(trim(text.substr(6))));
    if (text.starts_with("/")) throw invalid_input("no command " + text, "/help lists them");
    ask(text);
  }

  void add_image(const std::string& file) {
    load_image(file);  // tells at once when it is no picture
    pending_.emplace_back(file);
    std::cout << "(" << file << " goes with the next question)\n";
  }

  void ask(const std::string& text) {
    interrupted = false;
    const auto previous = std::signal(SIGINT, on_interrupt);
    const ChatAnswer answer = session_.ask(text, pending_, flags_.generation, streaming());
    std::signal(SIGINT, previous);
    std::cout << std::endl;
    std::cerr << speed_line(answer.result) << '\n';
    pending_.clear();
  }

  const ChatFlags& flags_;
  ChatSession& session_;
  std::vector<std::filesystem::path> pending_;
};

void run_chat(const ChatFlags& flags) {
  if (flags.prompt.empty() && (flags.json || !flags.logits.empty())) {
    throw invalid_input("--json and --logits need --prompt", "give the question with --prompt TEXT");
  }
  flags.generation.sampling.validate();
  const Checkpoint checkpoint = open_checkpoint(flags.model.paths());
  const Placement placement = flags.compute.placement();
  if (!flags.json) {
    std::cerr << "striate chat: " << family_name(checkpoint.config.family) << ", " << compute_name(placement.compute)
              << " on " << (placement.device.is_cpu() ? cpu_description() : placement.device.str()) << '\n';
  }
  ChatSession session(checkpoint, placement, settings_of(flags));
  if (flags.prompt.empty()) {
    Terminal(flags, session).run();
  } else {
    answer_once(flags, session);
  }
}

}  // namespace

void add_chat(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command = app.add_subcommand("chat", "Ask a model about pictures: one answer, or a conversation");
  flags->model.add_to(*command);
  flags->compute.add_to(*command);
  GenerationOptions& generation = flags->generation;
  SamplingOptions& sampling = generation.sampling;
  command->add_option("--image", flags->images, "A picture; may be given several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->add_option("--prompt", flags->prompt, "Answer this and end; without it a conversation begins");
  command->add_option("--max-tokens", generation.max_tokens, "Longest answer, in tokens")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--context", flags->context, "Longest prompt and answer together; default: the model's own")
      ->type_name("TOKENS");
  command->add_option("--temperature", sampling.temperature, "0 takes the likeliest token, more is freer")
      ->capture_default_str();
  command->add_option("--top-p", sampling.top_p, "Draw from the likeliest tokens that make up this probability")
      ->capture_default_str();
  command->add_option("--top-k", sampling.top_k, "Draw from the k likeliest tokens; 0: all")->capture_default_str();
  command->add_option("--repetition-penalty", sampling.repetition_penalty, "More than 1 repeats less")
      ->capture_default_str();
  command->add_option("--seed", sampling.seed, "Same seed, same draws")->capture_default_str();
  command->add_option("--stop", flags->stops, "End the answer before this text; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--template", flags->conversation, "vicuna_v1, bunny, llama, phi3, plain; default: the model's");
  command->add_option("--tokenizer", flags->tokenizer, "A tokenizer's folder or file; default: the model's folder")
      ->type_name("PATH");
  command->add_option("--image-aspect", flags->image_aspect, "pad to a square or crop; default: as the model says")
      ->check(CLI::IsMember({"pad", "crop"}));
  command->add_flag("--raw", flags->raw, "The prompt as it is, without a template");
  command->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  command
      ->add_option("--logits", flags->logits, "Write the last prompt position's and every step's logits (safetensors)")
      ->type_name("FILE");
  command->footer(
      example("striate chat --model llava-1.5-7b-hf --image photo.jpg --prompt 'What is in this picture?'"));
  command->callback([flags, &run] {
    flags->generation.stop_strings = flags->stops;
    run.computes = true;
    run.action = [flags] { run_chat(*flags); };
  });
}

}  // namespace striate::app
