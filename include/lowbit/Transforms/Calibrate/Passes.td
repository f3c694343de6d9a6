//===- Passes.td - What a program tells while it runs ------*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_CALIBRATE_PASSES_TD
#define LOWBIT_TRANSFORMS_CALIBRATE_PASSES_TD

include "mlir/Pass/PassBase.td"

def InsertObservers : Pass<"lowbit-insert-observers", "::mlir::func::FuncOp"> {
  let summary = "Tap the inputs of products with parameters";
  let description = [{
    Every contraction of a value with a parameter, over the last axis of both, gets a `lowbit.observe` of that value; contractions of
    one value share it. The function is plain (`lowbit-strip`), and private functions are inlined (`inline`) before. A contraction
    that has a parameter but cannot be tapped is a remark.

    ```mlir
    // lowbit-opt --pass-pipeline='builtin.module(func.func(lowbit-insert-observers{statistics=moments}))'
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @linear(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %w = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<?x64xf32>, tensor<32x64xf32>) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
      return %r : tensor<?x32xf32>
    }
    ```
    becomes
    ```mlir
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @linear(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %w = lowbit.parameter "up.weight" : tensor<32x64xf32>
      lowbit.observe %x for ["up.weight"] [moments] : tensor<?x64xf32>
      %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<?x64xf32>, tensor<32x64xf32>) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
      return %r : tensor<?x32xf32>
    }
    ```
  }];
  let options = [
    ListOption<"statistics", "statistics", "std::string", "What to keep: moments, squares, sums, magnitudes, maxima, minima, histogram">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

def SplitStages : Pass<"lowbit-split-stages", "::mlir::ModuleOp"> {
  let summary = "Cut a program with taps into functions that run one after the other";
  let description = [{
    An entry becomes a chain of functions, its *stages*, of which each takes the one value that the stage before gave, and the parameters
    as arguments: statistics of a deep model need the memory of one layer, and its weights may change between two stages. A cut is
    where one single value that depends on both an argument and a parameter is still needed; what depends on arguments alone (a mask,
    rotary tables) or on parameters alone is computed again where it is needed. Of cuts with no `lowbit.observe` between them one stays, the last
    one, but rather where a value has several users. What no tap depends on goes, and with it the entry's results, unless
    `output` keeps the last one of them.

    Stages that are equal but for their parameters are one function. The module's `lowbit.stages` has, in order, for each stage its
    `function`; its `arguments`, as "value" (of the stage before), "argument 0" (of the entry) or "parameter blk.0.attn_q.weight"; and, for each of its taps,
    in the order of the function, the parameters that it `feeds`. Afterwards there are only stages; taps are named by their place.

    ```mlir
    // lowbit-opt --lowbit-split-stages
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    func.func @net(%x: tensor<?x64xf32>, %out: tensor<?x64xf32>) -> tensor<?x64xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
      %gain = lowbit.parameter "gain" : tensor<64xf32>
      %y = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%x, %gain : tensor<?x64xf32>, tensor<64xf32>) outs(%out : tensor<?x64xf32>) {
        ^bb0(%a: f32, %g: f32, %o: f32):
          %s = arith.mulf %a, %g : f32
          linalg.yield %s : f32
      } -> tensor<?x64xf32>
      lowbit.observe %y for ["up.weight"] [sums] : tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    module attributes {lowbit.stages = [
        {arguments = ["argument 0", "argument 1", "parameter gain", "result"], feeds = [], function = @net_stage},
        {arguments = ["value"], feeds = [["up.weight"]], function = @net_stage_1} ]} {
      func.func @net_stage(%x: tensor<?x64xf32>, %out: tensor<?x64xf32>, %gain: tensor<64xf32>, %result: tensor<?x64xf32>) -> tensor<?x64xf32>
          attributes {lowbit.entry, lowbit.updates = array<i64: 3>} {
        %y = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
            ins(%x, %gain : tensor<?x64xf32>, tensor<64xf32>) outs(%out : tensor<?x64xf32>) {
          ^bb0(%a: f32, %g: f32, %o: f32):
            %s = arith.mulf %a, %g : f32
            linalg.yield %s : f32
        } -> tensor<?x64xf32>
        return %y : tensor<?x64xf32>
      }
      func.func @net_stage_1(%value: tensor<?x64xf32>) attributes {lowbit.entry, lowbit.updates = array<i64>} {
        lowbit.observe %value for ["0"] [sums] : tensor<?x64xf32>
        return
      }
    }
    ```
  }];
  let options = [
    Option<"entry", "entry", "std::string", /*default=*/"\"\"", "Which entry; the first one by default">,
    Option<"output", "output", "bool", /*default=*/"false", "The last stage gives the entry's last result; otherwise what no tap needs goes">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

def LowerObservers : Pass<"lowbit-lower-observers", "::mlir::func::FuncOp"> {
  let summary = "Make arguments that an entry updates of its taps";
  let description = [{
    Each statistic of each `lowbit.observe` becomes an argument with the name "TAP.STATISTIC" (`lowbit.name`; TAP is the first parameter that it feeds),
    which the entry updates by plain linalg: it goes on from what it is given, so that statistics of a text are those of its
    parts, one after the other. Sums and counts begin with 0, maxima with -inf, minima with inf. A histogram is updated by a loop over the elements.

    ```mlir
    // lowbit-opt --pass-pipeline='builtin.module(func.func(lowbit-lower-observers))'
    func.func @tap(%x: tensor<?x64xf32>) attributes {lowbit.entry, lowbit.updates = array<i64>} {
      lowbit.observe %x for ["up.weight"] [maxima] : tensor<?x64xf32>
      return
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    func.func @tap(%x: tensor<?x64xf32>, %most: tensor<64xf32> {lowbit.name = "up.weight.maxima"}) -> tensor<64xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
      %r = linalg.generic {indexing_maps = [#e, #v], iterator_types = ["reduction", "parallel"]}
          ins(%x : tensor<?x64xf32>) outs(%most : tensor<64xf32>) {
        ^bb0(%a: f32, %s: f32):
          %m = arith.maximumf %s, %a : f32
          linalg.yield %m : f32
      } -> tensor<64xf32>
      return %r : tensor<64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def Differentiate : Pass<"lowbit-differentiate", "::mlir::ModuleOp"> {
  let summary = "Make the vector-Jacobian product of a function";
  let description = [{
    A function of plain tensors, a straight line of linalg, reshapes and slices, gets a companion NAME_vjp: reverse-mode differentiation. It takes the
    function's arguments and cotangents of its `results`, and gives those of its `arguments`; what it needs in between it computes again. If the function is an
    entry, so is the companion, with storage for each result as its last arguments.

    The cotangent of an operand of a `linalg.generic` is a `linalg.generic` whose output is indexed as that operand is: a sum over the loops that it lacks.
    Its payload is the chain rule over scalar ops of arith and math. A result may be computed once for each element, be a sum, or an extremum: this one
    passes its cotangent on to where it is, in equal parts where it is several times. Other reductions, operands that are indexed by more than
    different loops (convolutions), elements of a differentiated tensor that a payload looks up, loops and calls are errors at the op.

    ```mlir
    // lowbit-opt --pass-pipeline='builtin.module(lowbit-differentiate{arguments=1})'
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @linear(%x: tensor<4x64xf32>, %w: tensor<32x64xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
      %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<4x64xf32>, tensor<32x64xf32>) outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
      return %r : tensor<4x32xf32>
    }
    ```
    becomes
    ```mlir
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @linear(%x: tensor<4x64xf32>, %w: tensor<32x64xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
      %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<4x64xf32>, tensor<32x64xf32>) outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
      return %r : tensor<4x32xf32>
    }
    func.func @linear_vjp(%x: tensor<4x64xf32>, %w: tensor<32x64xf32>, %y: tensor<4x32xf32>, %c: tensor<4x32xf32>) -> tensor<32x64xf32> {
      %zero = arith.constant 0.0 : f32
      %empty = tensor.empty() : tensor<32x64xf32>
      %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<32x64xf32>) -> tensor<32x64xf32>
      %d = linalg.generic {indexing_maps = [#x, #y, #w], iterator_types = ["reduction", "parallel", "parallel"]}
          ins(%x, %c : tensor<4x64xf32>, tensor<4x32xf32>) outs(%zeros : tensor<32x64xf32>) {
        ^bb0(%a: f32, %g: f32, %s: f32):
          %p = arith.mulf %g, %a : f32
          %t = arith.addf %s, %p : f32
          linalg.yield %t : f32
      } -> tensor<32x64xf32>
      return %d : tensor<32x64xf32>
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"\"", "Which function; the first one by default">,
    ListOption<"arguments", "arguments", "int64_t", "Whose cotangents are computed; by default all tensors of floats but those that are updated">,
    ListOption<"results", "results", "int64_t", "Whose cotangents are given; by default all tensors of floats">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

#endif // LOWBIT_TRANSFORMS_CALIBRATE_PASSES_TD
