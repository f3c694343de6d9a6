/* llama.cpp behind plain functions, so that Python need not know how its structs are laid out
 * (generators.py).
 *
 * What is not set here is llama.cpp's default: weights repacked where it has kernels for that, keys
 * and values in f16, 512 tokens of a prompt at a time. */

#include <llama.h>
#include <stdio.h>
#include <stdlib.h>

struct peer {
  struct llama_model *model;
  struct llama_context *context;
};

static void report(enum ggml_log_level level, const char *text, void *unused) {
  (void)unused;
  if (level == GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_ERROR)
    fputs(text, stderr);
}

static void peer_free(struct peer *peer) {
  if (peer->context)
    llama_free(peer->context);
  if (peer->model)
    llama_model_free(peer->model);
  free(peer);
}

/* NULL if the model cannot be read; llama.cpp has said why.
 * flash_attention: where llama.cpp finds it fit, or nowhere. */
struct peer *peer_open(const char *path, int threads, int positions, int flash_attention) {
  llama_log_set(report, NULL);
  llama_backend_init();
  struct peer *peer = calloc(1, sizeof *peer);
  if (!peer)
    return NULL;
  peer->model = llama_model_load_from_file(path, llama_model_default_params());
  if (peer->model) {
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = positions;
    params.n_batch = positions;
    params.n_threads = threads;
    params.n_threads_batch = threads;
    if (!flash_attention)
      params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    peer->context = llama_init_from_model(peer->model, params);
  }
  if (peer->context)
    return peer;
  peer_free(peer);
  return NULL;
}

int peer_vocabulary(const struct peer *peer) {
  return llama_vocab_n_tokens(llama_model_get_vocab(peer->model));
}

/* Appends tokens to the cache. The logits after the last of them, valid until the next call; NULL
 * after an error. */
const float *peer_read(struct peer *peer, llama_token *tokens, int count) {
  if (llama_decode(peer->context, llama_batch_get_one(tokens, count)))
    return NULL;
  return llama_get_logits_ith(peer->context, -1);
}

void peer_reset(struct peer *peer) { llama_memory_clear(llama_get_memory(peer->context), false); }

/* Writes the model of a GGUF file with its weights in a llama_ftype; the embedding becomes f32. 0: done. */
int peer_quantize(const char *path, const char *output, int ftype) {
  llama_log_set(report, NULL);
  llama_backend_init();
  struct llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = (enum llama_ftype)ftype;
  params.token_embedding_type = GGML_TYPE_F32;
  return (int)llama_model_quantize(path, output, &params);
}
