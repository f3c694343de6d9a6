// MiniLM-L6 (sentence-transformers/all-MiniLM-L6-v2, Apache 2.0) as a program on tensors, exported by
// scripts/export-minilm.py. docs/MiniLM.md says how to run it.
//
// embed(ids, mask): the embedding [1, 384], of length 1, of one text. ids [1, n] are its tokens, 1 <=
// n <= 512, each in 0 ... 30521; mask [1, n] is 1 for a token that counts, 0 for padding. Parameters
// have the names of the model's safetensors file.
#map = affine_map<(d0) -> (d0)>
#map1 = affine_map<(d0, d1) -> (d0)>
#map2 = affine_map<(d0, d1) -> (d0, d1)>
#map3 = affine_map<(d0, d1) -> (d1)>
#map4 = affine_map<(d0, d1, d2) -> (d0, d2)>
#map5 = affine_map<(d0, d1, d2) -> (d1, d2)>
#map6 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map7 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map8 = affine_map<(d0, d1, d2) -> (d2)>
#map9 = affine_map<(d0) -> ()>
module {
  func.func @embed(%arg0: tensor<1x?xi64>, %arg1: tensor<1x?xi64>) -> tensor<1x384xf32> attributes {lowbit.entry} {
    %cst = arith.constant 1.41421354 : f32
    %cst_0 = arith.constant 3.840000e+02 : f32
    %cst_1 = arith.constant -3.40282347E+38 : f32
    %cst_2 = arith.constant 9.9999999999999998E-13 : f64
    %cst_3 = arith.constant 0.17677669529663689 : f64
    %cst_4 = arith.constant 5.000000e-01 : f32
    %cst_5 = arith.constant 1.000000e+00 : f32
    %cst_6 = arith.constant 0xFF800000 : f32
    %c512 = arith.constant 512 : index
    %cst_7 = arith.constant 0.000000e+00 : f32
    %c30522 = arith.constant 30522 : index
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c0_i64 = arith.constant 0 : i64
    %0 = lowbit.parameter "embeddings.word_embeddings.weight" : tensor<30522x384xf32>
    %1 = lowbit.parameter "embeddings.position_embeddings.weight" : tensor<512x384xf32>
    %2 = lowbit.parameter "embeddings.token_type_embeddings.weight" : tensor<2x384xf32>
    %3 = lowbit.parameter "embeddings.LayerNorm.weight" : tensor<384xf32>
    %4 = lowbit.parameter "embeddings.LayerNorm.bias" : tensor<384xf32>
    %5 = lowbit.parameter "encoder.layer.0.attention.self.query.weight" : tensor<384x384xf32>
    %6 = lowbit.parameter "encoder.layer.0.attention.self.query.bias" : tensor<384xf32>
    %7 = lowbit.parameter "encoder.layer.0.attention.self.key.weight" : tensor<384x384xf32>
    %8 = lowbit.parameter "encoder.layer.0.attention.self.key.bias" : tensor<384xf32>
    %9 = lowbit.parameter "encoder.layer.0.attention.self.value.weight" : tensor<384x384xf32>
    %10 = lowbit.parameter "encoder.layer.0.attention.self.value.bias" : tensor<384xf32>
    %11 = lowbit.parameter "encoder.layer.0.attention.output.dense.weight" : tensor<384x384xf32>
    %12 = lowbit.parameter "encoder.layer.0.attention.output.dense.bias" : tensor<384xf32>
    %13 = lowbit.parameter "encoder.layer.0.attention.output.LayerNorm.weight" : tensor<384xf32>
    %14 = lowbit.parameter "encoder.layer.0.attention.output.LayerNorm.bias" : tensor<384xf32>
    %15 = lowbit.parameter "encoder.layer.0.intermediate.dense.weight" : tensor<1536x384xf32>
    %16 = lowbit.parameter "encoder.layer.0.intermediate.dense.bias" : tensor<1536xf32>
    %17 = lowbit.parameter "encoder.layer.0.output.dense.weight" : tensor<384x1536xf32>
    %18 = lowbit.parameter "encoder.layer.0.output.dense.bias" : tensor<384xf32>
    %19 = lowbit.parameter "encoder.layer.0.output.LayerNorm.weight" : tensor<384xf32>
    %20 = lowbit.parameter "encoder.layer.0.output.LayerNorm.bias" : tensor<384xf32>
    %21 = lowbit.parameter "encoder.layer.1.attention.self.query.weight" : tensor<384x384xf32>
    %22 = lowbit.parameter "encoder.layer.1.attention.self.query.bias" : tensor<384xf32>
    %23 = lowbit.parameter "encoder.layer.1.attention.self.key.weight" : tensor<384x384xf32>
    %24 = lowbit.parameter "encoder.layer.1.attention.self.key.bias" : tensor<384xf32>
    %25 = lowbit.parameter "encoder.layer.1.attention.self.value.weight" : tensor<384x384xf32>
    %26 = lowbit.parameter "encoder.layer.1.attention.self.value.bias" : tensor<384xf32>
    %27 = lowbit.parameter "encoder.layer.1.attention.output.dense.weight" : tensor<384x384xf32>
    %28 = lowbit.parameter "encoder.layer.1.attention.output.dense.bias" : tensor<384xf32>
    %29 = lowbit.parameter "encoder.layer.1.attention.output.LayerNorm.weight" : tensor<384xf32>
    %30 = lowbit.parameter "encoder.layer.1.attention.output.LayerNorm.bias" : tensor<384xf32>
    %31 = lowbit.parameter "encoder.layer.1.intermediate.dense.weight" : tensor<1536x384xf32>
    %32 = lowbit.parameter "encoder.layer.1.intermediate.dense.bias" : tensor<1536xf32>
    %33 = lowbit.parameter "encoder.layer.1.output.dense.weight" : tensor<384x1536xf32>
    %34 = lowbit.parameter "encoder.layer.1.output.dense.bias" : tensor<384xf32>
    %35 = lowbit.parameter "encoder.layer.1.output.LayerNorm.weight" : tensor<384xf32>
    %36 = lowbit.parameter "encoder.layer.1.output.LayerNorm.bias" : tensor<384xf32>
    %37 = lowbit.parameter "encoder.layer.2.attention.self.query.weight" : tensor<384x384xf32>
    %38 = lowbit.parameter "encoder.layer.2.attention.self.query.bias" : tensor<384xf32>
    %39 = lowbit.parameter "encoder.layer.2.attention.self.key.weight" : tensor<384x384xf32>
    %40 = lowbit.parameter "encoder.layer.2.attention.self.key.bias" : tensor<384xf32>
    %41 = lowbit.parameter "encoder.layer.2.attention.self.value.weight" : tensor<384x384xf32>
    %42 = lowbit.parameter "encoder.layer.2.attention.self.value.bias" : tensor<384xf32>
    %43 = lowbit.parameter "encoder.layer.2.attention.output.dense.weight" : tensor<384x384xf32>
    %44 = lowbit.parameter "encoder.layer.2.attention.output.dense.bias" : tensor<384xf32>
    %45 = lowbit.parameter "encoder.layer.2.attention.output.LayerNorm.weight" : tensor<384xf32>
    %46 = lowbit.parameter "encoder.layer.2.attention.output.LayerNorm.bias" : tensor<384xf32>
    %47 = lowbit.parameter "encoder.layer.2.intermediate.dense.weight" : tensor<1536x384xf32>
    %48 = lowbit.parameter "encoder.layer.2.intermediate.dense.bias" : tensor<1536xf32>
    %49 = lowbit.parameter "encoder.layer.2.output.dense.weight" : tensor<384x1536xf32>
    %50 = lowbit.parameter "encoder.layer.2.output.dense.bias" : tensor<384xf32>
    %51 = lowbit.parameter "encoder.layer.2.output.LayerNorm.weight" : tensor<384xf32>
    %52 = lowbit.parameter "encoder.layer.2.output.LayerNorm.bias" : tensor<384xf32>
    %53 = lowbit.parameter "encoder.layer.3.attention.self.query.weight" : tensor<384x384xf32>
    %54 = lowbit.parameter "encoder.layer.3.attention.self.query.bias" : tensor<384xf32>
    %55 = lowbit.parameter "encoder.layer.3.attention.self.key.weight" : tensor<384x384xf32>
    %56 = lowbit.parameter "encoder.layer.3.attention.self.key.bias" : tensor<384xf32>
    %57 = lowbit.parameter "encoder.layer.3.attention.self.value.weight" : tensor<384x384xf32>
    %58 = lowbit.parameter "encoder.layer.3.attention.self.value.bias" : tensor<384xf32>
    %59 = lowbit.parameter "encoder.layer.3.attention.output.dense.weight" : tensor<384x384xf32>
    %60 = lowbit.parameter "encoder.layer.3.attention.output.dense.bias" : tensor<384xf32>
    %61 = lowbit.parameter "encoder.layer.3.attention.output.LayerNorm.weight" : tensor<384xf32>
    %62 = lowbit.parameter "encoder.layer.3.attention.output.LayerNorm.bias" : tensor<384xf32>
    %63 = lowbit.parameter "encoder.layer.3.intermediate.dense.weight" : tensor<1536x384xf32>
    %64 = lowbit.parameter "encoder.layer.3.intermediate.dense.bias" : tensor<1536xf32>
    %65 = lowbit.parameter "encoder.layer.3.output.dense.weight" : tensor<384x1536xf32>
    %66 = lowbit.parameter "encoder.layer.3.output.dense.bias" : tensor<384xf32>
    %67 = lowbit.parameter "encoder.layer.3.output.LayerNorm.weight" : tensor<384xf32>
    %68 = lowbit.parameter "encoder.layer.3.output.LayerNorm.bias" : tensor<384xf32>
    %69 = lowbit.parameter "encoder.layer.4.attention.self.query.weight" : tensor<384x384xf32>
    %70 = lowbit.parameter "encoder.layer.4.attention.self.query.bias" : tensor<384xf32>
    %71 = lowbit.parameter "encoder.layer.4.attention.self.key.weight" : tensor<384x384xf32>
    %72 = lowbit.parameter "encoder.layer.4.attention.self.key.bias" : tensor<384xf32>
    %73 = lowbit.parameter "encoder.layer.4.attention.self.value.weight" : tensor<384x384xf32>
    %74 = lowbit.parameter "encoder.layer.4.attention.self.value.bias" : tensor<384xf32>
    %75 = lowbit.parameter "encoder.layer.4.attention.output.dense.weight" : tensor<384x384xf32>
    %76 = lowbit.parameter "encoder.layer.4.attention.output.dense.bias" : tensor<384xf32>
    %77 = lowbit.parameter "encoder.layer.4.attention.output.LayerNorm.weight" : tensor<384xf32>
    %78 = lowbit.parameter "encoder.layer.4.attention.output.LayerNorm.bias" : tensor<384xf32>
    %79 = lowbit.parameter "encoder.layer.4.intermediate.dense.weight" : tensor<1536x384xf32>
    %80 = lowbit.parameter "encoder.layer.4.intermediate.dense.bias" : tensor<1536xf32>
    %81 = lowbit.parameter "encoder.layer.4.output.dense.weight" : tensor<384x1536xf32>
    %82 = lowbit.parameter "encoder.layer.4.output.dense.bias" : tensor<384xf32>
    %83 = lowbit.parameter "encoder.layer.4.output.LayerNorm.weight" : tensor<384xf32>
    %84 = lowbit.parameter "encoder.layer.4.output.LayerNorm.bias" : tensor<384xf32>
    %85 = lowbit.parameter "encoder.layer.5.attention.self.query.weight" : tensor<384x384xf32>
    %86 = lowbit.parameter "encoder.layer.5.attention.self.query.bias" : tensor<384xf32>
    %87 = lowbit.parameter "encoder.layer.5.attention.self.key.weight" : tensor<384x384xf32>
    %88 = lowbit.parameter "encoder.layer.5.attention.self.key.bias" : tensor<384xf32>
    %89 = lowbit.parameter "encoder.layer.5.attention.self.value.weight" : tensor<384x384xf32>
    %90 = lowbit.parameter "encoder.layer.5.attention.self.value.bias" : tensor<384xf32>
    %91 = lowbit.parameter "encoder.layer.5.attention.output.dense.weight" : tensor<384x384xf32>
    %92 = lowbit.parameter "encoder.layer.5.attention.output.dense.bias" : tensor<384xf32>
    %93 = lowbit.parameter "encoder.layer.5.attention.output.LayerNorm.weight" : tensor<384xf32>
    %94 = lowbit.parameter "encoder.layer.5.attention.output.LayerNorm.bias" : tensor<384xf32>
    %95 = lowbit.parameter "encoder.layer.5.intermediate.dense.weight" : tensor<1536x384xf32>
    %96 = lowbit.parameter "encoder.layer.5.intermediate.dense.bias" : tensor<1536xf32>
    %97 = lowbit.parameter "encoder.layer.5.output.dense.weight" : tensor<384x1536xf32>
    %98 = lowbit.parameter "encoder.layer.5.output.dense.bias" : tensor<384xf32>
    %99 = lowbit.parameter "encoder.layer.5.output.LayerNorm.weight" : tensor<384xf32>
    %100 = lowbit.parameter "encoder.layer.5.output.LayerNorm.bias" : tensor<384xf32>
    %dim = tensor.dim %arg0, %c1 : tensor<1x?xi64>
    %dim_8 = tensor.dim %arg1, %c1 : tensor<1x?xi64>
    %collapsed = tensor.collapse_shape %arg1 [[0, 1]] : tensor<1x?xi64> into tensor<?xi64>
    %101 = tensor.empty(%dim_8) : tensor<?xf32>
    %102 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%collapsed : tensor<?xi64>) outs(%101 : tensor<?xf32>) {
    ^bb0(%in: i64, %out: f32):
      %301 = arith.sitofp %in : i64 to f32
      %302 = arith.subf %cst_5, %301 : f32
      %303 = arith.mulf %302, %cst_1 : f32
      linalg.yield %303 : f32
    } -> tensor<?xf32>
    %collapsed_9 = tensor.collapse_shape %arg0 [[0, 1]] : tensor<1x?xi64> into tensor<?xi64>
    %103 = tensor.empty(%dim) : tensor<?x384xf32>
    %104 = linalg.generic {indexing_maps = [#map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%collapsed_9 : tensor<?xi64>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: i64, %out: f32):
      %301 = arith.index_cast %in : i64 to index
      %302 = linalg.index 1 : index
      %303 = arith.cmpi slt, %301, %c30522 : index
      cf.assert %303, "index must be smaller than dim size"
      %304 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %304, "index must be larger or equal to 0"
      %extracted = tensor.extract %0[%301, %302] : tensor<30522x384xf32>
      linalg.yield %extracted : f32
    } -> tensor<?x384xf32>
    %extracted_slice = tensor.extract_slice %2[0, 0] [1, 384] [1, 1] : tensor<2x384xf32> to tensor<384xf32>
    %105 = arith.minsi %dim, %c512 : index
    %106 = arith.maxsi %105, %c0 : index
    %extracted_slice_10 = tensor.extract_slice %1[0, 0] [%106, 384] [1, 1] : tensor<512x384xf32> to tensor<?x384xf32>
    %107 = arith.cmpi eq, %dim, %106 : index
    cf.assert %107, "mismatched size for broadcast"
    %108 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%104, %extracted_slice, %extracted_slice_10 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %109 = tensor.empty(%dim) : tensor<?xf32>
    %110 = linalg.fill ins(%cst_7 : f32) outs(%109 : tensor<?xf32>) -> tensor<?xf32>
    %111 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%108 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %112 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%108, %111 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %113 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%112 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %114 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%112, %113, %3, %4 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %115 = linalg.fill ins(%cst_7 : f32) outs(%103 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %116 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%114, %5 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %117 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%116, %6 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded = tensor.expand_shape %117 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %118 = tensor.empty(%dim) : tensor<1x12x?x32xf32>
    %transposed = linalg.transpose ins(%expanded : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %119 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%114, %7 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %120 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%119, %8 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_11 = tensor.expand_shape %120 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %121 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%114, %9 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %122 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%121, %10 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_12 = tensor.expand_shape %122 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_13 = linalg.transpose ins(%expanded_12 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %123 = tensor.empty(%dim) : tensor<1x12x32x?xf32>
    %transposed_14 = linalg.transpose ins(%expanded_11 : tensor<1x?x12x32xf32>) outs(%123 : tensor<1x12x32x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_15 = tensor.collapse_shape %transposed [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %collapsed_16 = tensor.collapse_shape %transposed_14 [[0, 1], [2], [3]] : tensor<1x12x32x?xf32> into tensor<12x32x?xf32>
    %124 = tensor.empty(%dim, %dim) : tensor<12x?x?xf32>
    %125 = linalg.fill ins(%cst_7 : f32) outs(%124 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    %126 = linalg.batch_matmul ins(%collapsed_15, %collapsed_16 : tensor<12x?x32xf32>, tensor<12x32x?xf32>) outs(%125 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    %127 = arith.cmpi eq, %dim, %dim_8 : index
    cf.assert %127, "mismatched size for broadcast"
    %128 = linalg.generic {indexing_maps = [#map7, #map8, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%126, %102 : tensor<12x?x?xf32>, tensor<?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.truncf %cst_3 : f64 to f32
      %302 = arith.mulf %in, %301 : f32
      %303 = arith.addf %302, %in_82 : f32
      linalg.yield %303 : f32
    } -> tensor<12x?x?xf32>
    %129 = tensor.empty(%dim) : tensor<12x?xf32>
    %130 = linalg.fill ins(%cst_6 : f32) outs(%129 : tensor<12x?xf32>) -> tensor<12x?xf32>
    %131 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%128 : tensor<12x?x?xf32>) outs(%130 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.maximumf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %132 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%128, %131 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.subf %in, %in_82 : f32
      %302 = math.exp %301 : f32
      linalg.yield %302 : f32
    } -> tensor<12x?x?xf32>
    %133 = linalg.fill ins(%cst_7 : f32) outs(%129 : tensor<12x?xf32>) -> tensor<12x?xf32>
    %134 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%132 : tensor<12x?x?xf32>) outs(%133 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %135 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%132, %134 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<12x?x?xf32>
    %collapsed_17 = tensor.collapse_shape %transposed_13 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %136 = tensor.empty(%dim) : tensor<12x?x32xf32>
    %137 = linalg.fill ins(%cst_7 : f32) outs(%136 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %138 = linalg.batch_matmul ins(%135, %collapsed_17 : tensor<12x?x?xf32>, tensor<12x?x32xf32>) outs(%137 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %expanded_18 = tensor.expand_shape %138 [[0, 1], [2], [3]] output_shape [1, 12, %dim, 32] : tensor<12x?x32xf32> into tensor<1x12x?x32xf32>
    %139 = tensor.empty(%dim) : tensor<1x?x12x32xf32>
    %transposed_19 = linalg.transpose ins(%expanded_18 : tensor<1x12x?x32xf32>) outs(%139 : tensor<1x?x12x32xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_20 = tensor.collapse_shape %transposed_19 [[0, 1], [2, 3]] : tensor<1x?x12x32xf32> into tensor<?x384xf32>
    %140 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%collapsed_20, %11 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %141 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%140, %12, %114 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %142 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%141 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %143 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%141, %142 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %144 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%143 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %145 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%143, %144, %13, %14 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %146 = tensor.empty(%dim) : tensor<?x1536xf32>
    %147 = linalg.fill ins(%cst_7 : f32) outs(%146 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %148 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%145, %15 : tensor<?x384xf32>, tensor<1536x384xf32>) outs(%147 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %149 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%148, %16 : tensor<?x1536xf32>, tensor<1536xf32>) outs(%146 : tensor<?x1536xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.divf %301, %cst : f32
      %303 = math.erf %302 : f32
      %304 = arith.addf %303, %cst_5 : f32
      %305 = arith.mulf %304, %cst_4 : f32
      %306 = arith.mulf %301, %305 : f32
      linalg.yield %306 : f32
    } -> tensor<?x1536xf32>
    %150 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%149, %17 : tensor<?x1536xf32>, tensor<384x1536xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %151 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%150, %18, %145 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %152 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%151 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %153 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%151, %152 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %154 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%153 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %155 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%153, %154, %19, %20 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %156 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%155, %21 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %157 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%156, %22 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_21 = tensor.expand_shape %157 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_22 = linalg.transpose ins(%expanded_21 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %158 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%155, %23 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %159 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%158, %24 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_23 = tensor.expand_shape %159 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %160 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%155, %25 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %161 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%160, %26 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_24 = tensor.expand_shape %161 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_25 = linalg.transpose ins(%expanded_24 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %transposed_26 = linalg.transpose ins(%expanded_23 : tensor<1x?x12x32xf32>) outs(%123 : tensor<1x12x32x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_27 = tensor.collapse_shape %transposed_22 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %collapsed_28 = tensor.collapse_shape %transposed_26 [[0, 1], [2], [3]] : tensor<1x12x32x?xf32> into tensor<12x32x?xf32>
    %162 = linalg.batch_matmul ins(%collapsed_27, %collapsed_28 : tensor<12x?x32xf32>, tensor<12x32x?xf32>) outs(%125 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    cf.assert %127, "mismatched size for broadcast"
    %163 = linalg.generic {indexing_maps = [#map7, #map8, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%162, %102 : tensor<12x?x?xf32>, tensor<?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.truncf %cst_3 : f64 to f32
      %302 = arith.mulf %in, %301 : f32
      %303 = arith.addf %302, %in_82 : f32
      linalg.yield %303 : f32
    } -> tensor<12x?x?xf32>
    %164 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%163 : tensor<12x?x?xf32>) outs(%130 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.maximumf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %165 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%163, %164 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.subf %in, %in_82 : f32
      %302 = math.exp %301 : f32
      linalg.yield %302 : f32
    } -> tensor<12x?x?xf32>
    %166 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%165 : tensor<12x?x?xf32>) outs(%133 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %167 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%165, %166 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<12x?x?xf32>
    %collapsed_29 = tensor.collapse_shape %transposed_25 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %168 = linalg.batch_matmul ins(%167, %collapsed_29 : tensor<12x?x?xf32>, tensor<12x?x32xf32>) outs(%137 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %expanded_30 = tensor.expand_shape %168 [[0, 1], [2], [3]] output_shape [1, 12, %dim, 32] : tensor<12x?x32xf32> into tensor<1x12x?x32xf32>
    %transposed_31 = linalg.transpose ins(%expanded_30 : tensor<1x12x?x32xf32>) outs(%139 : tensor<1x?x12x32xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_32 = tensor.collapse_shape %transposed_31 [[0, 1], [2, 3]] : tensor<1x?x12x32xf32> into tensor<?x384xf32>
    %169 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%collapsed_32, %27 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %170 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%169, %28, %155 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %171 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%170 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %172 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%170, %171 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %173 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%172 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %174 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%172, %173, %29, %30 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %175 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%174, %31 : tensor<?x384xf32>, tensor<1536x384xf32>) outs(%147 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %176 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%175, %32 : tensor<?x1536xf32>, tensor<1536xf32>) outs(%146 : tensor<?x1536xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.divf %301, %cst : f32
      %303 = math.erf %302 : f32
      %304 = arith.addf %303, %cst_5 : f32
      %305 = arith.mulf %304, %cst_4 : f32
      %306 = arith.mulf %301, %305 : f32
      linalg.yield %306 : f32
    } -> tensor<?x1536xf32>
    %177 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%176, %33 : tensor<?x1536xf32>, tensor<384x1536xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %178 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%177, %34, %174 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %179 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%178 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %180 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%178, %179 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %181 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%180 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %182 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%180, %181, %35, %36 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %183 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%182, %37 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %184 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%183, %38 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_33 = tensor.expand_shape %184 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_34 = linalg.transpose ins(%expanded_33 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %185 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%182, %39 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %186 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%185, %40 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_35 = tensor.expand_shape %186 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %187 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%182, %41 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %188 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%187, %42 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_36 = tensor.expand_shape %188 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_37 = linalg.transpose ins(%expanded_36 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %transposed_38 = linalg.transpose ins(%expanded_35 : tensor<1x?x12x32xf32>) outs(%123 : tensor<1x12x32x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_39 = tensor.collapse_shape %transposed_34 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %collapsed_40 = tensor.collapse_shape %transposed_38 [[0, 1], [2], [3]] : tensor<1x12x32x?xf32> into tensor<12x32x?xf32>
    %189 = linalg.batch_matmul ins(%collapsed_39, %collapsed_40 : tensor<12x?x32xf32>, tensor<12x32x?xf32>) outs(%125 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    cf.assert %127, "mismatched size for broadcast"
    %190 = linalg.generic {indexing_maps = [#map7, #map8, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%189, %102 : tensor<12x?x?xf32>, tensor<?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.truncf %cst_3 : f64 to f32
      %302 = arith.mulf %in, %301 : f32
      %303 = arith.addf %302, %in_82 : f32
      linalg.yield %303 : f32
    } -> tensor<12x?x?xf32>
    %191 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%190 : tensor<12x?x?xf32>) outs(%130 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.maximumf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %192 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%190, %191 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.subf %in, %in_82 : f32
      %302 = math.exp %301 : f32
      linalg.yield %302 : f32
    } -> tensor<12x?x?xf32>
    %193 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%192 : tensor<12x?x?xf32>) outs(%133 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %194 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%192, %193 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<12x?x?xf32>
    %collapsed_41 = tensor.collapse_shape %transposed_37 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %195 = linalg.batch_matmul ins(%194, %collapsed_41 : tensor<12x?x?xf32>, tensor<12x?x32xf32>) outs(%137 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %expanded_42 = tensor.expand_shape %195 [[0, 1], [2], [3]] output_shape [1, 12, %dim, 32] : tensor<12x?x32xf32> into tensor<1x12x?x32xf32>
    %transposed_43 = linalg.transpose ins(%expanded_42 : tensor<1x12x?x32xf32>) outs(%139 : tensor<1x?x12x32xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_44 = tensor.collapse_shape %transposed_43 [[0, 1], [2, 3]] : tensor<1x?x12x32xf32> into tensor<?x384xf32>
    %196 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%collapsed_44, %43 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %197 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%196, %44, %182 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %198 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%197 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %199 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%197, %198 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %200 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%199 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %201 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%199, %200, %45, %46 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %202 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%201, %47 : tensor<?x384xf32>, tensor<1536x384xf32>) outs(%147 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %203 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%202, %48 : tensor<?x1536xf32>, tensor<1536xf32>) outs(%146 : tensor<?x1536xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.divf %301, %cst : f32
      %303 = math.erf %302 : f32
      %304 = arith.addf %303, %cst_5 : f32
      %305 = arith.mulf %304, %cst_4 : f32
      %306 = arith.mulf %301, %305 : f32
      linalg.yield %306 : f32
    } -> tensor<?x1536xf32>
    %204 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%203, %49 : tensor<?x1536xf32>, tensor<384x1536xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %205 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%204, %50, %201 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %206 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%205 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %207 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%205, %206 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %208 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%207 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %209 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%207, %208, %51, %52 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %210 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%209, %53 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %211 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%210, %54 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_45 = tensor.expand_shape %211 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_46 = linalg.transpose ins(%expanded_45 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %212 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%209, %55 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %213 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%212, %56 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_47 = tensor.expand_shape %213 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %214 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%209, %57 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %215 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%214, %58 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_48 = tensor.expand_shape %215 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_49 = linalg.transpose ins(%expanded_48 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %transposed_50 = linalg.transpose ins(%expanded_47 : tensor<1x?x12x32xf32>) outs(%123 : tensor<1x12x32x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_51 = tensor.collapse_shape %transposed_46 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %collapsed_52 = tensor.collapse_shape %transposed_50 [[0, 1], [2], [3]] : tensor<1x12x32x?xf32> into tensor<12x32x?xf32>
    %216 = linalg.batch_matmul ins(%collapsed_51, %collapsed_52 : tensor<12x?x32xf32>, tensor<12x32x?xf32>) outs(%125 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    cf.assert %127, "mismatched size for broadcast"
    %217 = linalg.generic {indexing_maps = [#map7, #map8, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%216, %102 : tensor<12x?x?xf32>, tensor<?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.truncf %cst_3 : f64 to f32
      %302 = arith.mulf %in, %301 : f32
      %303 = arith.addf %302, %in_82 : f32
      linalg.yield %303 : f32
    } -> tensor<12x?x?xf32>
    %218 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%217 : tensor<12x?x?xf32>) outs(%130 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.maximumf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %219 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%217, %218 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.subf %in, %in_82 : f32
      %302 = math.exp %301 : f32
      linalg.yield %302 : f32
    } -> tensor<12x?x?xf32>
    %220 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%219 : tensor<12x?x?xf32>) outs(%133 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %221 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%219, %220 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<12x?x?xf32>
    %collapsed_53 = tensor.collapse_shape %transposed_49 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %222 = linalg.batch_matmul ins(%221, %collapsed_53 : tensor<12x?x?xf32>, tensor<12x?x32xf32>) outs(%137 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %expanded_54 = tensor.expand_shape %222 [[0, 1], [2], [3]] output_shape [1, 12, %dim, 32] : tensor<12x?x32xf32> into tensor<1x12x?x32xf32>
    %transposed_55 = linalg.transpose ins(%expanded_54 : tensor<1x12x?x32xf32>) outs(%139 : tensor<1x?x12x32xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_56 = tensor.collapse_shape %transposed_55 [[0, 1], [2, 3]] : tensor<1x?x12x32xf32> into tensor<?x384xf32>
    %223 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%collapsed_56, %59 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %224 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%223, %60, %209 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %225 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%224 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %226 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%224, %225 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %227 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%226 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %228 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%226, %227, %61, %62 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %229 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%228, %63 : tensor<?x384xf32>, tensor<1536x384xf32>) outs(%147 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %230 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%229, %64 : tensor<?x1536xf32>, tensor<1536xf32>) outs(%146 : tensor<?x1536xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.divf %301, %cst : f32
      %303 = math.erf %302 : f32
      %304 = arith.addf %303, %cst_5 : f32
      %305 = arith.mulf %304, %cst_4 : f32
      %306 = arith.mulf %301, %305 : f32
      linalg.yield %306 : f32
    } -> tensor<?x1536xf32>
    %231 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%230, %65 : tensor<?x1536xf32>, tensor<384x1536xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %232 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%231, %66, %228 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %233 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%232 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %234 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%232, %233 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %235 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%234 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %236 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%234, %235, %67, %68 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %237 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%236, %69 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %238 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%237, %70 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_57 = tensor.expand_shape %238 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_58 = linalg.transpose ins(%expanded_57 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %239 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%236, %71 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %240 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%239, %72 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_59 = tensor.expand_shape %240 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %241 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%236, %73 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %242 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%241, %74 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_60 = tensor.expand_shape %242 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_61 = linalg.transpose ins(%expanded_60 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %transposed_62 = linalg.transpose ins(%expanded_59 : tensor<1x?x12x32xf32>) outs(%123 : tensor<1x12x32x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_63 = tensor.collapse_shape %transposed_58 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %collapsed_64 = tensor.collapse_shape %transposed_62 [[0, 1], [2], [3]] : tensor<1x12x32x?xf32> into tensor<12x32x?xf32>
    %243 = linalg.batch_matmul ins(%collapsed_63, %collapsed_64 : tensor<12x?x32xf32>, tensor<12x32x?xf32>) outs(%125 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    cf.assert %127, "mismatched size for broadcast"
    %244 = linalg.generic {indexing_maps = [#map7, #map8, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%243, %102 : tensor<12x?x?xf32>, tensor<?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.truncf %cst_3 : f64 to f32
      %302 = arith.mulf %in, %301 : f32
      %303 = arith.addf %302, %in_82 : f32
      linalg.yield %303 : f32
    } -> tensor<12x?x?xf32>
    %245 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%244 : tensor<12x?x?xf32>) outs(%130 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.maximumf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %246 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%244, %245 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.subf %in, %in_82 : f32
      %302 = math.exp %301 : f32
      linalg.yield %302 : f32
    } -> tensor<12x?x?xf32>
    %247 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%246 : tensor<12x?x?xf32>) outs(%133 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %248 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%246, %247 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<12x?x?xf32>
    %collapsed_65 = tensor.collapse_shape %transposed_61 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %249 = linalg.batch_matmul ins(%248, %collapsed_65 : tensor<12x?x?xf32>, tensor<12x?x32xf32>) outs(%137 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %expanded_66 = tensor.expand_shape %249 [[0, 1], [2], [3]] output_shape [1, 12, %dim, 32] : tensor<12x?x32xf32> into tensor<1x12x?x32xf32>
    %transposed_67 = linalg.transpose ins(%expanded_66 : tensor<1x12x?x32xf32>) outs(%139 : tensor<1x?x12x32xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_68 = tensor.collapse_shape %transposed_67 [[0, 1], [2, 3]] : tensor<1x?x12x32xf32> into tensor<?x384xf32>
    %250 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%collapsed_68, %75 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %251 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%250, %76, %236 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %252 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%251 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %253 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%251, %252 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %254 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%253 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %255 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%253, %254, %77, %78 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %256 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%255, %79 : tensor<?x384xf32>, tensor<1536x384xf32>) outs(%147 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %257 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%256, %80 : tensor<?x1536xf32>, tensor<1536xf32>) outs(%146 : tensor<?x1536xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.divf %301, %cst : f32
      %303 = math.erf %302 : f32
      %304 = arith.addf %303, %cst_5 : f32
      %305 = arith.mulf %304, %cst_4 : f32
      %306 = arith.mulf %301, %305 : f32
      linalg.yield %306 : f32
    } -> tensor<?x1536xf32>
    %258 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%257, %81 : tensor<?x1536xf32>, tensor<384x1536xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %259 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%258, %82, %255 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %260 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%259 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %261 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%259, %260 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %262 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%261 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %263 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%261, %262, %83, %84 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %264 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%263, %85 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %265 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%264, %86 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_69 = tensor.expand_shape %265 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_70 = linalg.transpose ins(%expanded_69 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %266 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%263, %87 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %267 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%266, %88 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_71 = tensor.expand_shape %267 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %268 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%263, %89 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %269 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%268, %90 : tensor<?x384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<?x384xf32>
    %expanded_72 = tensor.expand_shape %269 [[0, 1], [2, 3]] output_shape [1, %dim, 12, 32] : tensor<?x384xf32> into tensor<1x?x12x32xf32>
    %transposed_73 = linalg.transpose ins(%expanded_72 : tensor<1x?x12x32xf32>) outs(%118 : tensor<1x12x?x32xf32>) permutation = [0, 2, 1, 3] 
    %transposed_74 = linalg.transpose ins(%expanded_71 : tensor<1x?x12x32xf32>) outs(%123 : tensor<1x12x32x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_75 = tensor.collapse_shape %transposed_70 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %collapsed_76 = tensor.collapse_shape %transposed_74 [[0, 1], [2], [3]] : tensor<1x12x32x?xf32> into tensor<12x32x?xf32>
    %270 = linalg.batch_matmul ins(%collapsed_75, %collapsed_76 : tensor<12x?x32xf32>, tensor<12x32x?xf32>) outs(%125 : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
    cf.assert %127, "mismatched size for broadcast"
    %271 = linalg.generic {indexing_maps = [#map7, #map8, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%270, %102 : tensor<12x?x?xf32>, tensor<?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.truncf %cst_3 : f64 to f32
      %302 = arith.mulf %in, %301 : f32
      %303 = arith.addf %302, %in_82 : f32
      linalg.yield %303 : f32
    } -> tensor<12x?x?xf32>
    %272 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%271 : tensor<12x?x?xf32>) outs(%130 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.maximumf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %273 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%271, %272 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.subf %in, %in_82 : f32
      %302 = math.exp %301 : f32
      linalg.yield %302 : f32
    } -> tensor<12x?x?xf32>
    %274 = linalg.generic {indexing_maps = [#map7, #map6], iterator_types = ["parallel", "parallel", "reduction"]} ins(%273 : tensor<12x?x?xf32>) outs(%133 : tensor<12x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<12x?xf32>
    %275 = linalg.generic {indexing_maps = [#map7, #map6, #map7], iterator_types = ["parallel", "parallel", "parallel"]} ins(%273, %274 : tensor<12x?x?xf32>, tensor<12x?xf32>) outs(%124 : tensor<12x?x?xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<12x?x?xf32>
    %collapsed_77 = tensor.collapse_shape %transposed_73 [[0, 1], [2], [3]] : tensor<1x12x?x32xf32> into tensor<12x?x32xf32>
    %276 = linalg.batch_matmul ins(%275, %collapsed_77 : tensor<12x?x?xf32>, tensor<12x?x32xf32>) outs(%137 : tensor<12x?x32xf32>) -> tensor<12x?x32xf32>
    %expanded_78 = tensor.expand_shape %276 [[0, 1], [2], [3]] output_shape [1, 12, %dim, 32] : tensor<12x?x32xf32> into tensor<1x12x?x32xf32>
    %transposed_79 = linalg.transpose ins(%expanded_78 : tensor<1x12x?x32xf32>) outs(%139 : tensor<1x?x12x32xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_80 = tensor.collapse_shape %transposed_79 [[0, 1], [2, 3]] : tensor<1x?x12x32xf32> into tensor<?x384xf32>
    %277 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%collapsed_80, %91 : tensor<?x384xf32>, tensor<384x384xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %278 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%277, %92, %263 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %279 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%278 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %280 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%278, %279 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %281 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%280 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %282 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%280, %281, %93, %94 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %283 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%282, %95 : tensor<?x384xf32>, tensor<1536x384xf32>) outs(%147 : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %284 = linalg.generic {indexing_maps = [#map2, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%283, %96 : tensor<?x1536xf32>, tensor<1536xf32>) outs(%146 : tensor<?x1536xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.divf %301, %cst : f32
      %303 = math.erf %302 : f32
      %304 = arith.addf %303, %cst_5 : f32
      %305 = arith.mulf %304, %cst_4 : f32
      %306 = arith.mulf %301, %305 : f32
      linalg.yield %306 : f32
    } -> tensor<?x1536xf32>
    %285 = linalg.matmul indexing_maps = [#map4, #map5, #map6] ins(%284, %97 : tensor<?x1536xf32>, tensor<384x1536xf32>) outs(%115 : tensor<?x384xf32>) -> tensor<?x384xf32>
    %286 = linalg.generic {indexing_maps = [#map2, #map3, #map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%285, %98, %282 : tensor<?x384xf32>, tensor<384xf32>, tensor<?x384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %out: f32):
      %301 = arith.addf %in, %in_82 : f32
      %302 = arith.addf %301, %in_83 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %287 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%286 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    %288 = linalg.generic {indexing_maps = [#map2, #map1, #map2], iterator_types = ["parallel", "parallel"]} ins(%286, %287 : tensor<?x384xf32>, tensor<?xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.subf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<?x384xf32>
    %289 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "reduction"]} ins(%288 : tensor<?x384xf32>) outs(%110 : tensor<?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<?xf32>
    %290 = linalg.generic {indexing_maps = [#map2, #map1, #map3, #map3, #map2], iterator_types = ["parallel", "parallel"]} ins(%288, %289, %99, %100 : tensor<?x384xf32>, tensor<?xf32>, tensor<384xf32>, tensor<384xf32>) outs(%103 : tensor<?x384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %in_83: f32, %in_84: f32, %out: f32):
      %301 = arith.divf %in_82, %cst_0 : f32
      %302 = arith.truncf %cst_2 : f64 to f32
      %303 = arith.addf %301, %302 : f32
      %304 = math.rsqrt %303 : f32
      %305 = arith.mulf %in, %304 : f32
      %306 = arith.mulf %305, %in_83 : f32
      %307 = arith.addf %306, %in_84 : f32
      linalg.yield %307 : f32
    } -> tensor<?x384xf32>
    %291 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%collapsed : tensor<?xi64>) outs(%101 : tensor<?xf32>) {
    ^bb0(%in: i64, %out: f32):
      %301 = arith.sitofp %in : i64 to f32
      linalg.yield %301 : f32
    } -> tensor<?xf32>
    cf.assert %127, "mismatched size for broadcast"
    %292 = tensor.empty() : tensor<384xf32>
    %293 = linalg.fill ins(%cst_7 : f32) outs(%292 : tensor<384xf32>) -> tensor<384xf32>
    %294 = linalg.generic {indexing_maps = [#map2, #map1, #map3], iterator_types = ["reduction", "parallel"]} ins(%290, %291 : tensor<?x384xf32>, tensor<?xf32>) outs(%293 : tensor<384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.mulf %in, %in_82 : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<384xf32>
    %295 = tensor.empty() : tensor<f32>
    %296 = linalg.fill ins(%cst_7 : f32) outs(%295 : tensor<f32>) -> tensor<f32>
    %297 = linalg.generic {indexing_maps = [#map, #map9], iterator_types = ["reduction"]} ins(%291 : tensor<?xf32>) outs(%296 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.addf %in, %out : f32
      linalg.yield %301 : f32
    } -> tensor<f32>
    %298 = linalg.generic {indexing_maps = [#map, #map9, #map], iterator_types = ["parallel"]} ins(%294, %297 : tensor<384xf32>, tensor<f32>) outs(%292 : tensor<384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = arith.divf %in, %in_82 : f32
      linalg.yield %301 : f32
    } -> tensor<384xf32>
    %299 = linalg.generic {indexing_maps = [#map, #map9], iterator_types = ["reduction"]} ins(%298 : tensor<384xf32>) outs(%296 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %301 = arith.mulf %in, %in : f32
      %302 = arith.addf %301, %out : f32
      linalg.yield %302 : f32
    } -> tensor<f32>
    %300 = linalg.generic {indexing_maps = [#map, #map9, #map], iterator_types = ["parallel"]} ins(%298, %299 : tensor<384xf32>, tensor<f32>) outs(%292 : tensor<384xf32>) {
    ^bb0(%in: f32, %in_82: f32, %out: f32):
      %301 = math.rsqrt %in_82 : f32
      %302 = arith.mulf %in, %301 : f32
      linalg.yield %302 : f32
    } -> tensor<384xf32>
    %expanded_81 = tensor.expand_shape %300 [[0, 1]] output_shape [1, 384] : tensor<384xf32> into tensor<1x384xf32>
    return %expanded_81 : tensor<1x384xf32>
  }
}

