"""transformers' LlamaTokenizer on sentencepiece, which LLaVA was trained with."""

from transformers.models.llama import tokenization_llama

MARK = "\u2581"


def slow_llama(path, legacy, add_prefix_space=True):
    """The tokenizer of a sentencepiece model.

    transformers 4 has it. transformers 5 kept its base, SentencePieceBackend (loading, splitting at special tokens,
    `_tokenize`), and dropped the class: its two own methods, `tokenize` and `convert_tokens_to_string`, are restated
    here from transformers 4.57 (Apache-2.0).
    """
    if hasattr(tokenization_llama.LlamaTokenizer, "get_spm_processor"):
        return tokenization_llama.LlamaTokenizer(str(path), legacy=legacy, add_prefix_space=add_prefix_space)
    from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

    class LlamaTokenizer(SentencePieceBackend):
        def tokenize(self, text, **kwargs):
            if self.legacy or not text:
                return super().tokenize(text, **kwargs)
            tokens = super().tokenize((MARK if add_prefix_space else "") + text.replace(MARK, " "), **kwargs)
            if len(tokens) > 1 and tokens[0] == MARK and tokens[1] in self.all_special_tokens:
                tokens = tokens[1:]
            return tokens

        def convert_tokens_to_string(self, tokens):
            tokens = list(tokens)
            if tokens[0].startswith(MARK) and add_prefix_space:
                tokens[0] = tokens[0][len(MARK) :]
            run, text, previous_special = [], "", False
            for i, token in enumerate(tokens):
                if token in self.all_special_tokens:
                    if not previous_special and i != 0 and self.legacy:
                        text += " "
                    text += self.sp_model.decode(run) + token
                    run, previous_special = [], True
                else:
                    if previous_special and i == 1 and add_prefix_space and not token.startswith(MARK):
                        text += " "
                    run.append(token)
                    previous_special = False
            return text + self.sp_model.decode(run)

    return LlamaTokenizer(
        vocab_file=str(path), legacy=legacy, unk_token="<unk>", bos_token="<s>", eos_token="</s>", verbose=False
    )
