namespace Lora.Llm.Tokenization;

/// <summary>The stages of a tokenizer, in the order in which a text passes them; the decoder takes the way back.</summary>
internal sealed record TokenizerStages(
    AddedVocabulary Added,
    NormalizerStage? Normalizer,
    PreTokenizerStage? PreTokenizer,
    TokenModel Model,
    PostProcessor? PostProcessor,
    TokenDecoder? Decoder)
{
    public static TokenizerStages Read(JsonPart root)
    {
        TokenModel model = TokenModel.Read(root.Required("model"));
        NormalizerStage? normalizer = root.Optional("normalizer") is { } normalizerPart ? NormalizerStage.Read(normalizerPart) : null;
        return new TokenizerStages(
            new AddedVocabulary(AddedVocabulary.Read(root.Optional("added_tokens"), model.Vocabulary), model.Vocabulary, normalizer),
            normalizer,
            root.Optional("pre_tokenizer") is { } preTokenizer ? PreTokenizerStage.Read(preTokenizer) : null,
            model,
            root.Optional("post_processor") is { } postProcessor ? PostProcessor.Read(postProcessor) : null,
            root.Optional("decoder") is { } decoder ? TokenDecoder.Read(decoder) : null);
    }
}
