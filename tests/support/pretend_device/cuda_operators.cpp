#include "tests/support/pretend_device/cuda_operators.h"

#include <fstream>
#include <set>

#include "tests/support/paths.h"

namespace striate::test::pretend {
namespace {

using Names = std::set<std::string>;

Names read_names() {
  const std::filesystem::path file = sources() / "tests/support/pretend_device/cuda_operators.txt";
  std::ifstream in(file);
  Names names;
  for (std::string name; std::getline(in, name);) names.insert(name);
  TORCH_CHECK(names.size() > 1000, file.string(), " names no operators");
  return names;
}

}  // namespace

std::string full_name(const c10::OperatorHandle& op) {
  const c10::OperatorName& name = op.operator_name();
  return name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
}

bool has_cuda_kernel(const std::string& name) {
  static const Names names = read_names();
  return name.starts_with("striate::") || names.contains(name);
}

bool takes_cpu_tensor(const c10::OperatorHandle& op, const at::Tensor& tensor) {
  static const Names with_numbers = {"aten::masked_fill_.Tensor", "aten::masked_fill.Tensor", "aten::fill_.Tensor",
                                     "aten::where.self", "aten::where.self_out"};
  const std::string name = full_name(op);
  if (indexes(name)) return true;
  return tensor.dim() == 0 && (op.hasTag(at::Tag::pointwise) || with_numbers.contains(name));
}

bool indexes(const std::string& name) {
  static const Names names = {"aten::index.Tensor", "aten::index.Tensor_out", "aten::_index_put_impl_",
                              "aten::index_put_", "aten::index_put"};
  return names.contains(name);
}

bool is_product(const std::string& name) {
  static const Names names = {
      "aten::mm",        "aten::mm.out",    "aten::bmm",         "aten::bmm.out", "aten::addmm",
      "aten::addmm.out", "aten::baddbmm",   "aten::baddbmm.out", "aten::addmm_",  "aten::baddbmm_",
      "aten::addmv",     "aten::addmv.out", "aten::addmv_",      "aten::dot",     "aten::_addmm_activation"};
  return names.contains(name);
}

bool picks_rows(const std::string& name) {
  static const Names names = {"aten::index_select", "aten::gather",     "aten::index.Tensor",
                              "aten::index_copy_",  "aten::index_add_", "aten::scatter_add_"};
  return names.contains(name);
}

bool adds_in_any_order(const std::string& name) {
  static const Names names = {"aten::index_add_",
                              "aten::index_add",
                              "aten::index_add.out",
                              "aten::scatter_add_",
                              "aten::scatter_add",
                              "aten::scatter_add.out",
                              "aten::_index_put_impl_",
                              "aten::put_",
                              "aten::scatter_reduce.two",
                              "aten::scatter_reduce_.two",
                              "aten::histc",
                              "aten::bincount",
                              "aten::embedding_dense_backward"};
  return names.contains(name);
}

bool sizes_its_result(const std::string& name) {
  static const Names names = {"aten::nonzero",
                              "aten::nonzero.out",
                              "aten::masked_select",
                              "aten::_unique2",
                              "aten::repeat_interleave.Tensor",
                              "aten::masked_select.out"};
  return names.contains(name);
}

}  // namespace striate::test::pretend
