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
    - `elements`, `rows`: how many the tensor has, at least (`rows`: the first extent); one of unknown size has as many as it takes;
    - `encoding`: what fits is stored in; without one it stays as it is, whatever comes later in the list.

    Arguments of ops that only say where results go, those results, and what a branch of `scf.if` yields of them take the new type along;
    `lowbit-materialize` makes decodes and encodes of it. A function that is called takes what is decoded. Before every other pass.

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

def ScaleGradients : Pass<"lowbit-scale-gradients", "::mlir::ModuleOp"> {
  let summary = "Let a rule multiply its gradient by a number of the call";
  let description = [{
    A rule, a function with an argument named "gradient", gets one more argument, an f32 named "gradient_scale", with which every element
    of the gradient is multiplied before anything else reads it: the inverse of a loss scale, or what clips a norm. In an elementwise
    rule `lowbit-fuse-elementwise` makes one loop of both. Before `lowbit-materialize`.

    ```mlir
    // lowbit-opt --lowbit-scale-gradients
    #e = affine_map<(i, j) -> (i, j)>
    func.func @step(%g: tensor<1x64xf32> {lowbit.name = "gradient"}, %m: tensor<1x64xf32>) -> tensor<1x64xf32> {
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
    func.func @step(%g: tensor<1x64xf32> {lowbit.name = "gradient"}, %m: tensor<1x64xf32>, %scale: f32 {lowbit.name = "gradient_scale"}) -> tensor<1x64xf32> {
      %empty = tensor.empty() : tensor<1x64xf32>
      %scaled = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<1x64xf32>) outs(%empty : tensor<1x64xf32>) {
        ^bb0(%x: f32, %unused: f32):
          %y = arith.mulf %x, %scale : f32
          linalg.yield %y : f32
      } -> tensor<1x64xf32>
      %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%scaled : tensor<1x64xf32>) outs(%m : tensor<1x64xf32>) {
        ^bb0(%x: f32, %m0: f32):
          %s = arith.addf %x, %m0 : f32
          linalg.yield %s : f32
      } -> tensor<1x64xf32>
      return %r : tensor<1x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def KeyDraws : Pass<"lowbit-key-draws", "::mlir::ModuleOp"> {
  let summary = "Let a rule's stochastic rounding draw anew in each step";
  let description = [{
    A rule, a function with an argument named "gradient", gets three more arguments, i64: "draw_number", which is the number of
    the step, and "draw_row" and "draw_column", the row and the column of the whole parameter that the first ones of the call are. What is rounded
    stochastically (`stochastic<seed>`) draws by seed, number and place, so that neither threads nor pieces nor shards change it. Before `lowbit-materialize`.

    ```mlir
    // lowbit-opt --lowbit-key-draws
    func.func @step(%g: tensor<1x64xf32> {lowbit.name = "gradient"}, %m: tensor<1x64xf32>) -> tensor<1x64xf32> {
      return %m : tensor<1x64xf32>
    }
    ```
    becomes
    ```mlir
    func.func @step(%g: tensor<1x64xf32> {lowbit.name = "gradient"}, %m: tensor<1x64xf32>,
                    %number: i64 {lowbit.draw_number, lowbit.name = "draw_number"},
                    %row: i64 {lowbit.draw_row, lowbit.name = "draw_row"},
                    %column: i64 {lowbit.draw_column, lowbit.name = "draw_column"}) -> tensor<1x64xf32> {
      return %m : tensor<1x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

def AllowApproximations : Pass<"lowbit-allow-approximations", "::mlir::ModuleOp"> {
  let summary = "Let a rule divide and take roots by estimates";
  let description = [{
    Divisions and square roots of f32 for each element get the flags of arith that say so (`arcp`, `afn`). What a processor makes of
    them is `lowbit-lower-approximations`' choice; each is right within a relative error of 2^-13.

    ```mlir
    // lowbit-opt --lowbit-allow-approximations
    #e = affine_map<(i, j) -> (i, j)>
    func.func @step(%g: tensor<1x64xf32>, %m: tensor<1x64xf32>) -> tensor<1x64xf32> {
      %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<1x64xf32>) outs(%m : tensor<1x64xf32>) {
        ^bb0(%x: f32, %m0: f32):
          %root = math.sqrt %m0 : f32
          %s = arith.divf %x, %root : f32
          linalg.yield %s : f32
      } -> tensor<1x64xf32>
      return %r : tensor<1x64xf32>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(i, j) -> (i, j)>
    func.func @step(%g: tensor<1x64xf32>, %m: tensor<1x64xf32>) -> tensor<1x64xf32> {
      %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<1x64xf32>) outs(%m : tensor<1x64xf32>) {
        ^bb0(%x: f32, %m0: f32):
          %root = math.sqrt %m0 fastmath<afn> : f32
          %s = arith.divf %x, %root fastmath<arcp> : f32
          linalg.yield %s : f32
      } -> tensor<1x64xf32>
      return %r : tensor<1x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

#endif // LOWBIT_TRANSFORMS_OPTIMIZERS_PASSES_TD
