//===- Passes.td - What optimizer states are stored in -----*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_OPTIMIZERS_PASSES_TD
#define LOWBIT_TRANSFORMS_OPTIMIZERS_PASSES_TD

include "mlir/Pass/PassBase.td"

def AssignStates : Pass<"lowbit-assign-states", "::mlir::ModuleOp"> {
  let summary = "Give the tensors of an optimizer's rule the encodings that a list assigns";
  let description = [{
    A rule is a function whose arguments have names (`lowbit.name`): "gradient", "parameter", those of its states, and scalars. For
    each tensor among them that has no encoding yet the first assignment that fits says what it is stored in; without one it stays as
    it is. An assignment is a dictionary; what it does not have fits everything:

    - `names`, `parameters`: patterns, as "m*" or "{m,v}", of the argument's name and of the parameter's (the option `parameter`);
    - `nonnegative`: whether the argument says so of its values (`lowbit.nonnegative`);
    - `elements`: how many the tensor has, at least; one of unknown size has as many as it takes;
    - `encoding`: what fits is stored in; without one it stays as it is, whatever comes later in the list.

    Arguments of ops that only say where results go, and those results, take the new type along; `lowbit-materialize` makes decodes
    and encodes of it. Before every other pass.

    ```mlir
    // lowbit-opt --lowbit-assign-states="assignments='[{names = \"m\", elements = 64, encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>} ]'"
    #e = affine_map<(i, j) -> (i, j)>
    func.func @step(%g: tensor<1x64xf32> {lowbit.name = "gradient"}, %m: tensor<1x64xf32> {lowbit.name = "m"}) -> tensor<1x64xf32> {
      %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<1x64xf32>) outs(%m : tensor<1x64xf32>) {
        ^bb0(%x: f32, %m0: f32):
          %s = arith.addf %x, %m0 : f32
          linalg.yield %s : f32
      } -> tensor<1x64xf32>
      return %r : tensor<1x64xf32>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(i, j) -> (i, j)>
    #m8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
    func.func @step(%g: tensor<1x64xf32> {lowbit.name = "gradient"}, %m: tensor<1x64xf32, #m8> {lowbit.name = "m"}) -> tensor<1x64xf32, #m8> {
      %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<1x64xf32>) outs(%m : tensor<1x64xf32, #m8>) {
        ^bb0(%x: f32, %m0: f32):
          %s = arith.addf %x, %m0 : f32
          linalg.yield %s : f32
      } -> tensor<1x64xf32, #m8>
      return %r : tensor<1x64xf32, #m8>
    }
    ```
  }];
  let options = [
    Option<"assignments", "assignments", "std::string", /*default=*/"\"[]\"", "List of dictionaries">,
    Option<"parameter", "parameter", "std::string", /*default=*/"\"\"", "Name of the parameter that the rule is for">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

#endif // LOWBIT_TRANSFORMS_OPTIMIZERS_PASSES_TD
