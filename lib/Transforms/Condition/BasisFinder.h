//===- BasisFinder.h - Parameters that share a basis ------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_CONDITION_BASISFINDER_H
#define LOWBIT_LIB_TRANSFORMS_CONDITION_BASISFINDER_H

#include "ChannelPlaces.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lowbit {

enum class BasisChange { Rotation, Permutation };

/// How an axis of a parameter lies in a basis: as blocks of channels, `stride` elements from one
/// to the next.
struct BasisMember {
  mlir::Attribute parameter; ///< key, or number of the argument
  int64_t axis, stride;
  mlir::Attribute gain;   ///< a parameter that goes into it before it is changed
  bool isDivided = false; ///< by the gain, instead of multiplied
};

/// What must change together for a program to compute what it did.
struct Basis {
  int64_t extent;
  bool keepsOnes; ///< only changes that leave the vector of ones where it is
  llvm::SmallVector<BasisMember> members;
  llvm::SmallVector<mlir::Attribute> gains; ///< which become ones
};

/// What failed, with a reason kept elsewhere.
struct Refusal {
  operator bool() const { return false; }
  template <typename T> operator std::optional<T>() const { return std::nullopt; }
};

/// For reasons.
std::string quote(mlir::Operation *op);
std::string quoteParameter(mlir::Attribute parameter);

/// Follows the channels of a value through a function, forwards and backwards, to all parameters
/// that have to change with them.
class BasisFinder {
public:
  BasisFinder(mlir::func::FuncOp function, BasisChange change);

  /// Of the channels of a tapped value, or of those in blocks of them where the whole cannot
  /// change. Nothing where that cannot be; then there is a reason.
  std::optional<Basis> find(mlir::Value tapped);
  /// Whether the last search came to a value.
  bool reached(mlir::Value value) const { return values.contains(value); }
  mlir::StringRef getReason() const { return reason; }

private:
  /// Digits of a channel, a bit for each.
  using Digits = uint64_t;
  /// What is known of a number in a payload.
  struct Term {
    Digits varies = 0; ///< with these digits of the channel
    /// What it is linear in, or where `isProduct` a product of two of them.
    llvm::SmallVector<mlir::OpOperand *, 2> leaves;
    bool isProduct = false;
    mlir::Attribute gain; ///< that it was multiplied with
  };
  /// A structured op while its channels lie on these loops.
  struct Payload {
    mlir::linalg::LinalgOp op;
    const ChannelPlaces &loops;
    Digits all, inResult;
  };
  struct Use {
    mlir::OpOperand *operand;
    BasisMember member;
  };

  bool flood(mlir::Value tapped, int64_t extent);
  /// A value changes, too. `use`: what it was reached from.
  bool join(mlir::OpOperand *use, mlir::Value value, const std::optional<ChannelPlaces> &places);
  bool joinLoop(mlir::Operation *loop, unsigned number, const ChannelPlaces &places);
  bool visitArgument(mlir::BlockArgument argument, const ChannelPlaces &places);
  /// An op one of whose operands changes, or (`operand` null) its result `value`.
  bool visit(mlir::Operation *op, mlir::OpOperand *operand, mlir::Value value,
             const ChannelPlaces &places);
  bool visitSlice(mlir::Operation *op, bool isWhole, const ChannelPlaces &places);
  bool visitStructured(mlir::linalg::LinalgOp op, const ChannelPlaces &loops);
  bool visitResult(Payload &payload, unsigned number);

  std::optional<Term> evaluate(Payload &payload, mlir::Value scalar);
  std::optional<Term> evaluateLeaf(Payload &payload, mlir::OpOperand &operand, Digits varies);
  std::optional<Term> add(Payload &payload, Term a, Term b);
  std::optional<Term> multiply(Payload &payload, Term a, Term b);
  std::optional<Term> extract(Payload &payload, mlir::Operation *op);
  std::optional<ChannelPlaces> placesOf(Payload &payload, mlir::OpOperand &leaf);
  Digits digitsOn(Payload &payload, mlir::AffineMap map);

  bool findGains();
  bool setGain(Payload &payload, mlir::OpOperand &leaf, mlir::Attribute gain, bool isDivided);
  bool checkParameters();
  bool checkStates();

  mlir::Attribute getParameter(mlir::Value value);
  bool isParameter(const Term &term);
  static mlir::Value getValue(const Term &term);

  Refusal refuse(const llvm::Twine &why);
  Refusal refuseGain(mlir::Attribute gain, mlir::Operation *op);
  /// Only blocks of channels can change that agree in all digits but these.
  Refusal narrow(Payload &payload, Digits keep, const llvm::Twine &why);
  Refusal narrowTo(Payload &payload, Digits a, Digits b, const llvm::Twine &why);

  mlir::func::FuncOp function;
  BasisChange change;
  bool isStage; // parameters are arguments
  std::string reason;

  int64_t narrower = 0;
  bool keepsOnes = false, followsGains = false;
  llvm::DenseMap<mlir::Value, ChannelPlaces> values;
  llvm::SmallVector<mlir::Value> worklist;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<ChannelPlaces, 1>> visited;
  llvm::SmallVector<Use> uses;
  llvm::SmallVector<std::pair<mlir::OpOperand *, mlir::Attribute>> gains;
  llvm::DenseMap<mlir::Value, mlir::Attribute> gainOf;
  llvm::SmallVector<mlir::OpOperand *> returns;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_CONDITION_BASISFINDER_H
