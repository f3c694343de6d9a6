#include "lowbit/IR/LowbitAttrs.h"

int main(int argc, char **argv) {
  mlir::MLIRContext context;
  auto encoding = lowbit::parseEncoding(argc > 1 ? argv[1] : "", &context);
  if (!encoding)
    return 1;
  auto type = mlir::RankedTensorType::get({8, 64}, mlir::Float32Type::get(&context), encoding);
  for (const lowbit::EncodingComponent &component : encoding.getComponents(type))
    llvm::outs() << component.name << " : " << component.type << "\n";
}
