// striate chat: one answer, or a conversation in the terminal.
#include <ATen/ops/stack.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/data_flags.h"
#include "apps/striate/flag_names.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/line_reader.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/sampling_flags.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/weight_file.h"
#include "striate/infer/chat_session.h"
#include "striate/model/config_bounds.h"

namespace striate::app {
namespace {

struct ChatFlags {
  ModelFlags model;
  ComputeFlags compute;
  std::vector<std::string> images;
  TextFlags text;
  std::string prompt, logits;
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

// While it stands, Ctrl-C stops the answer and not the program.
class AnswerInterrupts {
 public:
  AnswerInterrupts() : before_(std::signal(SIGINT, on_interrupt)) {}
  ~AnswerInterrupts() { std::signal(SIGINT, before_); }
  AnswerInterrupts(const AnswerInterrupts&) = delete;
  AnswerInterrupts& operator=(const AnswerInterrupts&) = delete;

 private:
  void (*before_)(int);
};

ChatSettings settings_of(const ChatFlags& flags) {
  ChatSettings settings;
  settings.raw = flags.raw;
  settings.conversation = flags.text.conversation_asked();
  settings.context = flags.context;
  settings.tokenizer = flags.text.tokenizer_asked();
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

// What every file of logits has in its header, to know an earlier one by.
constexpr std::string_view kLogitsMark = "\"made_by\":\"striate chat\"";

void write_logits(const std::string& file, const std::vector<at::Tensor>& rows) {
  if (rows.empty()) throw invalid_input("--logits needs at least one generated token", "give --max-tokens 1 or more");
  write_safetensors(OutputPath::named(file, Existing::kOurs, kLogitsMark),
                    {{"prompt", rows.front()}, {"steps", at::stack(rows)}},
                    {{"format", "pt"}, {"made_by", "striate chat"}});
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
  std::cout << "/image FILE  add a picture to the next question\n"
               "/history     print the conversation so far\n"
               "/reset       start a new conversation\n"
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
    std::cout << "Type a question; /help lists the commands.\n";
    LineReader reader;
    while (const auto line = reader.read("> ")) {
      const std::string text(trim(*line));
      if (text.empty()) continue;
      if (text == "/quit" || text == "/exit") return;
      try {
        handle(text);
      } catch (const Error& error) {
        std::cerr << "error: " << with_flags(error.what()) << '\n';
        if (!error.hint().empty()) std::cerr << "hint: " << with_flags(error.hint()) << '\n';
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
    if (text.starts_with("/")) throw invalid_input(text + " is not a command", "/help lists the commands");
    ask(text);
  }

  void add_image(const std::string& file) {
    load_image(file);  // tells at once when it is no picture
    pending_.emplace_back(file);
    std::cout << "(" << file << " goes with the next question)\n";
  }

  void ask(const std::string& text) {
    const ChatAnswer answer = streamed_answer(text);
    std::cout << std::endl;
    std::cerr << speed_line(answer.result) << '\n';
    pending_.clear();
  }

  // Afterwards Ctrl-C ends the program again, also where the question is refused.
  ChatAnswer streamed_answer(const std::string& text) {
    interrupted = false;
    const AnswerInterrupts interrupts;
    return session_.ask(text, pending_, flags_.generation, streaming());
  }

  const ChatFlags& flags_;
  ChatSession& session_;
  std::vector<std::filesystem::path> pending_;
};

void run_chat(const ChatFlags& flags, const CLI::App& command) {
  refuse_unread_sampling(command, flags.generation.sampling);
  if (flags.raw) refuse_unread(command, {"--template"}, "does not apply to --raw", "give one of them");
  if (flags.prompt.empty() && (flags.json || !flags.logits.empty())) {
    throw invalid_input("--json and --logits need --prompt", "give the question with --prompt TEXT");
  }
  if (!flags.logits.empty()) OutputPath::named(flags.logits, Existing::kOurs, kLogitsMark);  // refused before any work
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

void add_generation(CLI::App& command, ChatFlags& flags) {
  GenerationOptions& generation = flags.generation;
  command.add_option("--max-tokens", generation.max_tokens, "Maximum length of the answer, in tokens")
      ->check(whole_number(1, kMostTokens))
      ->capture_default_str();
  command
      .add_option("--context", flags.context,
                  "Maximum length of prompt and answer together; default: the model's context length")
      ->check(whole_number(1, kMostPositions))
      ->type_name("TOKENS");
  add_sampling(command, generation.sampling);
  command
      .add_option("--repetition-penalty", generation.sampling.repetition_penalty,
                  "Repetition penalty; above 1, tokens that occurred before become less likely")
      ->check(number(1, 1e3))
      ->capture_default_str();
  command.add_option("--stop", flags.stops, "Text before which the answer ends; may be given several times")
      ->allow_extra_args(false);
}

}  // namespace

void add_chat(CLI::App& app, Invocation& run) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command = app.add_subcommand("chat", "Ask a model about pictures: one answer, or a conversation");
  flags->model.add_to(*command);
  flags->compute.add_to(*command);
  command->add_option("--image", flags->images, "Picture to ask about; may be given several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->add_option("--prompt", flags->prompt, "Question to answer once; without it a conversation begins");
  add_generation(*command, *flags);
  flags->text.add_to(*command);
  command->add_flag("--raw", flags->raw, "Use the prompt as it is, without a conversation template");
  command->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  command
      ->add_option("--logits", flags->logits,
                   "Safetensors file for the logits of the last prompt position and of every step")
      ->type_name("FILE");
  command->footer(
      example("striate chat --model llava-1.5-7b-hf --image photo.jpg --prompt 'What is in this picture?'"));
  command->callback([flags, command, &run] {
    flags->generation.stop_strings = flags->stops;
    run.computes = true;
    run.action = [flags, command] { run_chat(*flags, *command); };
  });
}

}  // namespace striate::app
