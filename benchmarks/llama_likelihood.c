// llama_likelihood.c MODEL.gguf TOKENS: how llama.cpp predicts a text, for
// benchmarks/gguf_in_llama.py.
//
// TOKENS is a file of i32. Prints the mean negative log likelihood, in nats, of each token but the
// first, given all before it. Keys and values are f32.
#include "llama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 4096 };

static void printErrors(enum ggml_log_level level, const char *text, void *unused) {
  (void)unused;
  if (level == GGML_LOG_LEVEL_ERROR)
    fputs(text, stderr);
}

static int fail(const char *what) {
  fprintf(stderr, "llama_likelihood: error: %s\n", what);
  return 1;
}

int main(int count, char **arguments) {
  static llama_token tokens[MOST];
  if (count != 3)
    return fail("give a model and a file of tokens");
  FILE *file = fopen(arguments[2], "rb");
  int n = file ? (int)fread(tokens, sizeof *tokens, MOST, file) : 0;
  if (n < 2)
    return fail("there are fewer than 2 tokens");
  fclose(file);

  llama_log_set(printErrors, NULL);
  llama_backend_init();
  struct llama_model *model =
      llama_model_load_from_file(arguments[1], llama_model_default_params());
  if (!model)
    return fail("llama.cpp cannot load the model");
  struct llama_context_params settings = llama_context_default_params();
  settings.n_ctx = settings.n_batch = settings.n_ubatch = MOST;
  settings.type_k = settings.type_v = GGML_TYPE_F32;
  struct llama_context *context = llama_init_from_model(model, settings);
  struct llama_batch batch = llama_batch_init(n, 0, 1);
  batch.n_tokens = n;
  for (int i = 0; i < n; ++i) {
    batch.token[i] = tokens[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  if (!context || llama_decode(context, batch))
    return fail("llama.cpp cannot run the model");

  int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  double sum = 0;
  for (int i = 0; i + 1 < n; ++i) {
    const float *logits = llama_get_logits_ith(context, i);
    double largest = -INFINITY, total = 0;
    for (int j = 0; j < vocabulary; ++j)
      largest = fmax(largest, logits[j]);
    for (int j = 0; j < vocabulary; ++j)
      total += exp(logits[j] - largest);
    sum += log(total) + largest - logits[tokens[i + 1]];
  }
  printf("%.6f\n", sum / (n - 1));
  return 0;
}
