#include "apps/striate/command_tree.h"

#include <algorithm>

#include "striate/base/strings.h"

namespace striate::app {
namespace {

// CLI11 writes the allowed values into the name of the type: "TEXT:{pad,crop}".
void read_type(const std::string& type, FlagEntry& flag) {
  const std::size_t colon = type.find(':');
  flag.value = type.substr(0, colon);
  const std::size_t begin = type.find('{');
  if (colon == std::string::npos || begin == std::string::npos || !type.ends_with('}')) return;
  flag.choices = split(type.substr(begin + 1, type.size() - begin - 2), ',');
}

FlagEntry flag_entry(const CLI::Option& option) {
  FlagEntry flag;
  for (const std::string& name : option.get_snames()) flag.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) flag.names.push_back("--" + name);
  if (option.get_type_size() != 0) read_type(option.get_type_name(), flag);
  flag.description = option.get_description();
  flag.standard = option.get_default_str();
  flag.group = option.get_group();
  flag.required = option.get_required();
  flag.repeated = option.get_items_expected_max() > 1;
  return flag;
}

CommandEntry command_entry(const CLI::App& app, const std::string& parents) {
  CommandEntry command;
  command.name = parents.empty() ? app.get_name() : cat(parents, " ", app.get_name());
  command.description = app.get_description();
  command.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) command.flags.push_back(flag_entry(*option));
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) command.commands.push_back(command_entry(*sub, command.name));
  }
  return command;
}

void collect(const CommandEntry& command, std::vector<const CommandEntry*>& all) {
  all.push_back(&command);
  for (const CommandEntry& sub : command.commands) collect(sub, all);
}

}  // namespace

std::string CommandEntry::word() const {
  return name.substr(name.rfind(' ') + 1);
}

CommandEntry command_tree(const CLI::App& app) {
  return command_entry(app, "");
}

std::vector<const CommandEntry*> all_commands(const CommandEntry& root) {
  std::vector<const CommandEntry*> all;
  collect(root, all);
  return all;
}

}  // namespace striate::app
