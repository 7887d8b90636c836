#include "striate/train/optimizer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "striate/base/error.h"

namespace striate {
namespace {

const std::string kFirstMoment = "exp_avg.";
const std::string kSecondMoment = "exp_avg_sq.";

// Gathers rows [begin, end) of what each rank keeps in `own` [BlockShare::own_size()], some at a time, so that little
// is held at once: `take` is given the blocks of each rank, [ranks, numbers], and their first row.
template <typename Take>
void gather_rows(const BlockShare& share, Collective& ranks, const at::Tensor& own, std::int64_t begin,
                 std::int64_t end, const Take& take) {
  constexpr std::int64_t kMostNumbers = 1 << 22;
  const std::int64_t rows = std::max<std::int64_t>(1, kMostNumbers / (share.ranks() * BlockShare::kBlock));
  for (std::int64_t first = begin; first < end; first += rows) {
    const std::int64_t last = std::min(end, first + rows);
    const at::Tensor mine = own.slice(0, first * BlockShare::kBlock, last * BlockShare::kBlock);
    const at::Tensor blocks = at::empty({share.ranks(), mine.numel()}, own.options());
    ranks.begin_gather(mine, blocks)->wait();
    take(blocks, first);
  }
}

}  // namespace

double GroupRates::of(ParameterGroup group) const {
  switch (group) {
    case ParameterGroup::kProjector:
      return projector;
    case ParameterGroup::kAdapter:
      return adapter;
    case ParameterGroup::kDecoder:
      return decoder;
    case ParameterGroup::kVisionTower:
      return vision_tower;
  }
  throw internal_error("unknown parameter group");
}

GroupRates GroupRates::scaled(double factor) const {
  return {projector * factor, adapter * factor, decoder * factor, vision_tower * factor};
}

std::string group_name(ParameterGroup group) {
  switch (group) {
    case ParameterGroup::kProjector:
      return "projector";
    case ParameterGroup::kAdapter:
      return "adapter";
    case ParameterGroup::kDecoder:
      return "decoder";
    case ParameterGroup::kVisionTower:
      return "vision_tower";
  }
  throw internal_error("unknown parameter group");
}

AdamW::AdamW(ParameterSet& parameters, const AdamWOptions& options, Collective* sharing)
    : parameters_(parameters), ranks_(sharing), options_(options) {
  if (parameters.count() == 0) return;
  const at::Tensor& values = parameters.values();
  const at::Tensor none = at::empty({0}, values.options().dtype(at::kBFloat16));
  if (sharing == nullptr) {
    state_ = {values,
              at::zeros_like(values),
              at::zeros_like(values),
              parameters.rounded().defined() ? parameters.rounded() : none,
              parameters.gradients(),
              {},
              {}};
    find_ranges(BlockShare(parameters.count(), 0, 1));
    return;
  }
  share_.emplace(parameters.count(), sharing->rank(), sharing->size());
  for (at::Tensor* own : {&own_values_, &own_gradients_, &own_first_, &own_second_}) {
    *own = at::zeros({share_->own_size()}, values.options());
  }
  std::int64_t begin = 0;
  for (const auto& parameter : parameters.all()) {
    take_own(parameter->value.view({-1}), begin, own_values_);
    begin += parameter->value.numel();
  }
  dropped_ = parameters.drop_values();
  if (dropped_) own_rounded_ = at::zeros({share_->own_size()}, none.options());
  const auto filled = [this](const at::Tensor& own) { return own.narrow(0, 0, share_->own_count()); };
  // Where all values are handed out, rounded copies are made of them.
  const at::Tensor rounded = dropped_ ? filled(own_rounded_) : none;
  state_ = {filled(own_values_), filled(own_first_), filled(own_second_), rounded, filled(own_gradients_), {}, {}};
  find_ranges(*share_);
}

// The number of a parameter's settings.
std::int64_t AdamW::kind_of(const Parameter& parameter) {
  constexpr std::size_t kMostKinds = 8;
  const std::pair<ParameterGroup, bool> settings(parameter.group, parameter.decays);
  const auto place = std::find(kinds_.begin(), kinds_.end(), settings);
  const std::int64_t kind = place - kinds_.begin();
  if (place == kinds_.end()) kinds_.push_back(settings);
  if (kinds_.size() > kMostKinds) throw internal_error("more kinds of parameters than an update tells apart");
  return kind;
}

// Cuts the blocks of a share into ranges of one kind. Neighbours of one kind are one range where both begin with a
// block: loops then go through them in the same strides however many ranks there are, and round alike.
void AdamW::find_ranges(const BlockShare& share) {
  struct Run {
    std::int64_t end, kind;
  };
  std::vector<Run> runs;
  std::int64_t count = 0;
  for (const auto& parameter : parameters_.all()) {
    count += parameter->gradient.numel();
    const std::int64_t kind = kind_of(*parameter);
    if (!runs.empty() && runs.back().kind == kind) runs.pop_back();
    runs.push_back({count, kind});
  }
  if (count != parameters_.count()) throw internal_error("parameters do not fill their flat tensor");
  bool after_blocks = false;  // whether the last range consists of whole blocks' beginnings
  auto run = runs.begin();
  for (const BlockShare::Piece& piece : share.own_pieces()) {
    for (std::int64_t begin = piece.begin; begin < piece.end;) {
      while (run->end <= begin) ++run;
      const std::int64_t stop = std::min(piece.end, run->end);
      const std::int64_t end = piece.own + stop - piece.begin;
      const bool from_block = begin == piece.begin;
      if (from_block && after_blocks && state_.kinds.back() == run->kind) {
        state_.ends.back() = end;
      } else {
        state_.ends.push_back(end);
        state_.kinds.push_back(run->kind);
      }
      after_blocks = from_block;
      begin = stop;
    }
  }
}

// Of the flat tensor of a parameter that begins at `begin` of all, this process's part, into `own`.
void AdamW::take_own(const at::Tensor& flat, std::int64_t begin, const at::Tensor& own) const {
  const std::int64_t end = begin + flat.numel();
  if (!share_) return own.slice(0, begin, end).copy_(flat), void();
  for (const BlockShare::Piece& piece : share_->own_pieces()) {
    const std::int64_t from = std::max(begin, piece.begin), to = std::min(end, piece.end);
    if (from >= to) continue;
    const std::int64_t place = piece.own + from - piece.begin;
    own.slice(0, place, place + to - from).copy_(flat.slice(0, from - begin, to - begin));
  }
}

AdamWSettings AdamW::settings(const GroupRates& rates) const {
  AdamWSettings settings;
  settings.betas = {options_.beta1, options_.beta2};
  settings.eps = options_.epsilon;
  for (const auto& [group, decays] : kinds_) {
    settings.rates.push_back(rates.of(group));
    settings.decays.push_back(decays ? options_.weight_decay : 0.0);
  }
  return settings;
}

void AdamW::step(const GroupRates& rates, double gradient_factor) {
  set_updates(updates() + 1);
  if (parameters_.count() == 0) return;
  const AdamWSettings settings = this->settings(rates);
  const at::Tensor step = wanted_step(gradient_factor, updates_, settings.betas);
  update(step.to(state_.values.device()), settings);
}

const at::Tensor& AdamW::step_if_finite(const GroupRates& rates, double max_norm, const at::Tensor& losses) {
  if (parameters_.count() == 0) throw internal_error("an update of no parameters");
  const AdamWSettings settings = this->settings(rates);
  const at::TensorOptions options = state_.values.options().dtype(at::kDouble);
  if (!step_.defined()) step_ = at::full({kStepSlots}, static_cast<double>(updates_), options);
  judge_gradients(step_, all_square_sums(), losses.defined() ? losses : at::empty({0}, options), max_norm,
                  settings.betas);
  update(step_, settings);
  return step_;
}

void AdamW::update(const at::Tensor& step, const AdamWSettings& settings) {
  if (state_.values.numel() > 0) adamw_in_place(state_, step, settings);
  if (share_) hand_out_values();
}

// Of the blocks of all ranks, in order.
at::Tensor AdamW::all_square_sums() const {
  if (!share_) return square_sums(state_.gradients);
  const std::int64_t rows = share_->rows();
  const at::Tensor own = at::zeros({rows}, state_.values.options().dtype(at::kDouble));
  if (state_.gradients.numel() > 0) {
    const at::Tensor sums = square_sums(state_.gradients);
    own.narrow(0, 0, sums.numel()).copy_(sums);
  }
  const at::Tensor all = at::empty({share_->ranks(), rows}, own.options());
  ranks_->begin_gather(own, all)->wait();
  const std::int64_t blocks = (share_->count() + BlockShare::kBlock - 1) / BlockShare::kBlock;
  return all.t().reshape({-1}).narrow(0, 0, blocks);
}

void AdamW::hand_out_values() {
  if (dropped_) {
    gather_rows(*share_, *ranks_, own_rounded_, 0, share_->rows(), [this](const at::Tensor& blocks, std::int64_t row) {
      share_->into_vector(blocks, parameters_.rounded(), row);
    });
    return hand_out_kept_values();
  }
  gather_rows(*share_, *ranks_, own_values_, 0, share_->rows(), [this](const at::Tensor& blocks, std::int64_t row) {
    share_->into_vector(blocks, parameters_.values(), row);
  });
  parameters_.refresh();
}

// Values that were not dropped: few, such as norms'. Their rows are gathered, each once.
void AdamW::hand_out_kept_values() {
  const std::int64_t row_size = share_->ranks() * BlockShare::kBlock;
  std::int64_t begin = 0, gathered = 0;  // rows before `gathered` lie in `numbers`, from `first` on
  std::int64_t first = 0;
  at::Tensor numbers;
  for (const auto& parameter : parameters_.all()) {
    const std::int64_t end = begin + parameter->gradient.numel();
    if (parameter->value.defined()) {
      const at::Tensor value = parameter->value.view({-1});
      for (std::int64_t at = begin; at < end;) {
        const std::int64_t row = at / row_size;
        if (!numbers.defined() || row >= gathered) {
          gather_rows(*share_, *ranks_, own_values_, row, row + 1,
                      [&](const at::Tensor& blocks, std::int64_t) { numbers = share_->in_order(blocks); });
          first = row * row_size;
          gathered = row + 1;
        }
        const std::int64_t stop = std::min(end, first + row_size);
        value.slice(0, at - begin, stop - begin).copy_(numbers.slice(0, at - first, stop - first));
        at = stop;
      }
    }
    begin = end;
  }
}

std::int64_t AdamW::updates() const {
  return step_.defined() ? std::llround(step_[kStepUpdates].item<double>()) : updates_;
}

void AdamW::set_updates(std::int64_t updates) {
  updates_ = updates;
  step_.reset();
}

// What all ranks keep of a flat tensor, [count] in main memory; undefined on other ranks.
at::Tensor AdamW::whole_on_first_rank(const at::Tensor& own) const {
  at::Tensor whole;
  if (ranks_->rank() == 0) whole = at::empty({share_->count()}, own.options().device(at::kCPU));
  gather_rows(*share_, *ranks_, own, 0, share_->rows(), [&](const at::Tensor& blocks, std::int64_t row) {
    if (whole.defined()) share_->into_vector(blocks.cpu(), whole, row);
  });
  return whole;
}

// Each parameter's part of a flat tensor; nothing of an undefined one.
void AdamW::name_parts(const at::Tensor& flat, const std::string& prefix, NamedTensors& named) const {
  if (!flat.defined()) return;
  std::int64_t begin = 0;
  for (const auto& parameter : parameters_.all()) {
    const std::int64_t size = parameter->gradient.numel();
    named.emplace_back(prefix + parameter->name, flat.narrow(0, begin, size).view(parameter->gradient.sizes()));
    begin += size;
  }
}

NamedTensors AdamW::values() const {
  NamedTensors named;
  name_parts(dropped_ ? whole_on_first_rank(own_values_) : parameters_.values(), "", named);
  return named;
}

NamedTensors AdamW::moments() const {
  NamedTensors named;
  name_parts(share_ ? whole_on_first_rank(own_first_) : state_.first, kFirstMoment, named);
  name_parts(share_ ? whole_on_first_rank(own_second_) : state_.second, kSecondMoment, named);
  return named;
}

void AdamW::restore(const std::function<at::Tensor(const std::string&, at::IntArrayRef)>& stored,
                    std::int64_t updates) {
  std::int64_t begin = 0;
  for (const auto& parameter : parameters_.all()) {
    const auto given = [&](const std::string& prefix) {
      return stored(prefix + parameter->name, parameter->gradient.sizes()).reshape({-1});
    };
    const at::Tensor value = given("");
    for (const at::Tensor& copy : {parameter->value, parameter->rounded}) {
      if (copy.defined()) copy.copy_(value.view_as(copy));
    }
    if (share_) take_own(value, begin, own_values_);
    take_own(given(kFirstMoment), begin, state_.first);
    take_own(given(kSecondMoment), begin, state_.second);
    begin += value.numel();
  }
  set_updates(updates);
}

void AdamW::return_values() {
  if (!dropped_) return;
  const NamedTensors all = values();
  for (std::size_t i = 0; i < all.size(); ++i) parameters_.all()[i]->value = all[i].second;
}

double gradient_norm(const ParameterSet& parameters) {
  const at::Tensor& gradients = parameters.gradients();
  if (parameters.count() == 0) return 0;
  if (!gradients.is_cpu()) {
    return at::linalg_vector_norm(gradients, 2, std::nullopt, false, at::kDouble).item<double>();
  }
  const at::Tensor sums = square_sums(gradients);
  const auto* sum = sums.const_data_ptr<double>();
  return std::sqrt(std::accumulate(sum, sum + sums.numel(), 0.0));
}

double clip_factor(double norm, double max_norm) {
  if (max_norm <= 0) return 1.0;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}  // namespace striate
