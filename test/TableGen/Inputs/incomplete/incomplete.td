include "mlir/IR/OpBase.td"

// Lowbit_Dialect is defined in a file that is not included.
def Test_Op : Op<Lowbit_Dialect, "test">;
