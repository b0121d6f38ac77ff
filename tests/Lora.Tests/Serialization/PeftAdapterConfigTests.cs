using Lora.Serialization;

namespace Lora.Tests.Serialization;

public sealed class PeftAdapterConfigTests : IDisposable
{
    private static readonly LoraConfig _config = new()
    {
        Rank = 4,
        Alpha = 16,
        Dropout = 0.05,
        TargetModules = ModuleSelector.EndsWith("q_proj", "v_proj"),
        ExcludedModules = ModuleSelector.Regex(@".*\.0\..*"),
        UseRankStabilizedScaling = true,
        RankPattern = new Dictionary<string, int> { ["q_proj"] = 2, [@"^model\.embed"] = 3 },
        AlphaPattern = new Dictionary<string, double> { ["é"] = 2.5 },
        BaseModelNameOrPath = "base/ü",
        TaskType = "CAUSAL_LM",
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_written_is_read_back()
    {
        PeftAdapterConfig.From(_config).Save(_folder["c.json"]);
        Assert.Equal(_config, PeftAdapterConfig.Load(_folder["c.json"]).ToLoraConfig());
    }

    [Fact]
    public void The_file_has_every_field_in_Pythons_form() => Assert.Equal(
        """
        {
          "alora_invocation_tokens": null,
          "alpha_pattern": {
            "\u00e9": 2.5
          },
          "arrow_config": null,
          "auto_mapping": null,
          "base_model_name_or_path": "base/\u00fc",
          "bias": "none",
          "corda_config": null,
          "ensure_weight_tying": false,
          "eva_config": null,
          "exclude_modules": ".*\\.0\\..*",
          "fan_in_fan_out": false,
          "inference_mode": true,
          "init_lora_weights": true,
          "kasa_config": null,
          "layer_replication": null,
          "layers_pattern": null,
          "layers_to_transform": null,
          "loftq_config": {},
          "lora_alpha": 16,
          "lora_bias": false,
          "lora_dropout": 0.05,
          "lora_ga_config": null,
          "megatron_config": null,
          "megatron_core": "megatron.core",
          "modules_to_save": null,
          "monteclora_config": null,
          "peft_type": "LORA",
          "peft_version": "0.20.0",
          "qalora_group_size": 16,
          "r": 4,
          "rank_pattern": {
            "q_proj": 2,
            "^model\\.embed": 3
          },
          "revision": null,
          "target_modules": [
            "q_proj",
            "v_proj"
          ],
          "target_parameters": null,
          "task_type": "CAUSAL_LM",
          "trainable_token_indices": null,
          "use_bdlora": null,
          "use_dora": false,
          "use_qalora": false,
          "use_rslora": true,
          "velora_config": null
        }
        """,
        PeftAdapterConfig.From(_config).ToJson());

    [Theory]
    [InlineData("\"all-linear\"")]
    [InlineData("\"All-Linear\"")]
    public void All_linear_is_known_in_any_case(string json) =>
        Assert.Equal(ModuleSelector.AllLinear, PeftAdapterConfig.Parse($$"""{"peft_type":"LORA","target_modules":{{json}}}""").ToLoraConfig().TargetModules);

    [Fact]
    public void Absent_fields_have_PEFTs_defaults() => Assert.Equal(
        new LoraConfig { TargetModules = ModuleSelector.EndsWith("fc") },
        PeftAdapterConfig.Parse("""{"peft_type":"LORA","target_modules":["fc"]}""").ToLoraConfig());

    [Fact]
    public void Rewriting_keeps_order_numbers_and_unknown_fields()
    {
        const string Json = "{\n  \"z_new\": {\n    \"b\": 1e-05,\n    \"a\": [\n      1.0\n    ]\n  },\n  \"peft_type\": \"LORA\",\n  \"lora_alpha\": 16.0,\n  \"target_modules\": [\n    \"b\",\n    \"a\"\n  ]\n}";
        PeftAdapterConfig file = PeftAdapterConfig.Parse(Json);
        Assert.Equal(Json, file.ToJson());
        Assert.Equal(Json, file.With(file.ToLoraConfig()).ToJson());
        Assert.Equal(["z_new is unknown to this version and has no effect."], file.Remarks);
    }

    [Fact]
    public void A_change_touches_only_its_own_field()
    {
        PeftAdapterConfig file = PeftAdapterConfig.Parse("""{"peft_type":"LORA","lora_alpha":16.0,"target_modules":["b","a"],"z":1}""");
        PeftAdapterConfig changed = file.With(file.ToLoraConfig() with { Alpha = 32, Rank = 4 });
        Assert.Equal("""{"peft_type":"LORA","lora_alpha":32,"target_modules":["b","a"],"z":1,"r":4}""", changed.ToJson().Replace("\n", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_problem_is_reported_at_once()
    {
        const string Json = """
            {"peft_type":"IA3","r":2.0,"lora_alpha":"16","lora_dropout":-0.5,"bias":"some","task_type":"DANCE","target_modules":[],"exclude_modules":[1],
             "use_rslora":1,"rank_pattern":{"q":0,"*":1},"alpha_pattern":[],"revision":5,"init_lora_weights":"magic","use_qalora":true,"layers_to_transform":[0]}
            """;
        Assert.Equal(
            [
                "use_qalora is true, which asks for QALoRA: not supported by this version yet.",
                "init_lora_weights is \"magic\", which is no initialisation that PEFT knows.",
                "peft_type must be \"LORA\", but is \"IA3\".",
                "revision must be a string or null, but is 5.",
                "r must be a whole number of at least 1, but is 2.0.",
                "lora_alpha must be a number, but is \"16\".",
                "lora_dropout must be a probability from 0 to 1, but is -0.5.",
                "target_modules is []: it must name at least one module.",
                "exclude_modules must be null, a pattern or a list of names, none of them empty, but is [1].",
                "use_rslora must be true or false, but is 1.",
                "rank_pattern for 'q' must be a whole number of at least 1, but is 0.",
                "rank_pattern: the pattern '*' is not a valid regular expression: nothing to repeat at position 0.",
                "alpha_pattern must be an object, but is [].",
                "bias must be \"none\", \"all\" or \"lora_only\", but is \"some\".",
                "task_type must be null or one of SEQ_CLS, SEQ_2_SEQ_LM, CAUSAL_LM, TOKEN_CLS, QUESTION_ANS, FEATURE_EXTRACTION, but is \"DANCE\".",
            ],
            Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse(Json).ToLoraConfig()).Problems);
    }

    [Theory]
    [InlineData("null", """["q"]""")]
    [InlineData("[]", """["x.weight","q"]""")]
    public void Parameters_may_be_targets_alone(string modules, string parameters)
    {
        LoraConfig config = PeftAdapterConfig.Parse("adapter_config.json", System.Text.Encoding.UTF8.GetBytes($$"""{"peft_type": "LORA", "target_modules": {{modules}}, "target_parameters": {{parameters}}}""")).ToLoraConfig();
        Assert.Null(config.TargetModules);
        Assert.Equal(System.Text.Json.JsonSerializer.Deserialize<string[]>(parameters), config.TargetParameters!.Names);
        Assert.Equal(config, PeftAdapterConfig.From(config).ToLoraConfig());
    }

    [Fact]
    public void Parameters_are_named_and_not_matched() => Assert.Equal(
        ["target_parameters must be null or a list of names, but is \"x.weight\"."],
        Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse("adapter_config.json", """{"peft_type": "LORA", "target_modules": ["q"], "target_parameters": "x.weight"}"""u8.ToArray()).ToLoraConfig()).Problems);

    [Theory]
    [InlineData("use_qalora", "true")]
    [InlineData("velora_config", """{"scale":1}""")]
    [InlineData("megatron_config", """{"a":1}""")]
    [InlineData("arrow_config", """{"top_k":3}""")]
    [InlineData("init_lora_weights", "\"loftq\"")]
    public void What_is_not_supported_is_refused_by_name(string field, string json)
    {
        string problem = Assert.Single(Assert.Throws<AdapterFormatException>(() => Parse(field, json)).Problems);
        Assert.StartsWith($"{field} is {json}, which ", problem, StringComparison.Ordinal);
        Assert.Contains("not supported by this version yet", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("init_lora_weights", "false")]
    [InlineData("init_lora_weights", "\"gaussian\"")]
    [InlineData("init_lora_weights", "\"eva\"")]
    [InlineData("modules_to_save", "[]")]
    [InlineData("layers_to_transform", "[]")]
    [InlineData("eva_config", """{"rho":2.0}""")]
    [InlineData("qalora_group_size", "32")]
    [InlineData("rank_pattern", "null")]
    public void What_has_no_effect_on_loading_is_accepted(string field, string json) => Parse(field, json);

    [Theory]
    [InlineData("layers_to_transform", "true", "layers_to_transform must be null, a whole number or a list of such, but is true.")]
    [InlineData("layers_to_transform", "[0,1.5]", "layers_to_transform must be null, a whole number or a list of such, but is [0,1.5].")]
    [InlineData("layers_to_transform", "[-1]", "layers_to_transform must hold numbers from 0 on, but one is -1.")]
    [InlineData("layers_pattern", "\"layers\"", "layers_pattern is set without layers_to_transform, so it has no effect; set both or neither.")]
    [InlineData("modules_to_save", "[\"\"]", "modules_to_save must be null, a name or a list of names, none of them empty, but is [\"\"].")]
    [InlineData("modules_to_save", "7", "modules_to_save must be null, a name or a list of names, none of them empty, but is 7.")]
    [InlineData("layer_replication", "[[0,2],[3,3]]", "layer_replication must be null, a list of pairs of layers, such as [[0, 4], [2, 6]], but is [[0,2],[3,3]].")]
    [InlineData("trainable_token_indices", "{\"tok\":[1,1]}", "trainable_token_indices: row 1 of 'tok' is given twice.")]
    [InlineData("trainable_token_indices", "[4,-1]", "trainable_token_indices: the rows must not be negative, but one is -1.")]
    [InlineData("trainable_token_indices", "{\"tok\":[\"a\"]}", "trainable_token_indices for 'tok' must be null, a list of whole numbers, but is [\"a\"].")]
    [InlineData("ensure_weight_tying", "1", "ensure_weight_tying must be true or false, but is 1.")]
    public void A_wrong_value_is_named(string field, string json, string problem) =>
        Assert.Contains(problem, Assert.Throws<AdapterFormatException>(() => Parse(field, json)).Problems);

    [Theory]
    [InlineData("layers_to_transform", "3")]
    [InlineData("layers_to_transform", "[3]")]
    [InlineData("layers_to_transform", "[3,0]")]
    [InlineData("modules_to_save", "[\"head\",\"0.norm\"]")]
    [InlineData("trainable_token_indices", "{\"tok\":[4,1],\"emb\":[0]}")]
    [InlineData("trainable_token_indices", "[4,1]")]
    [InlineData("layer_replication", "[[0,2],[1,3]]")]
    [InlineData("bias", "\"lora_only\"")]
    [InlineData("ensure_weight_tying", "true")]
    public void A_value_is_written_as_it_was_read(string field, string json)
    {
        LoraConfig config = Parse(field, json);
        Assert.Equal(json, PeftAdapterConfig.From(config).Fields[field].GetRawText());
        Assert.Equal(config, PeftAdapterConfig.From(config).ToLoraConfig());
        Assert.NotEqual(config, new LoraConfig { TargetModules = ModuleSelector.EndsWith("fc") });
    }

    [Theory]
    [InlineData("0", "lora_alpha is 0: the adapter has no effect.")]
    [InlineData("-8", "lora_alpha is -8: the adapter is subtracted.")]
    public void An_alpha_that_is_not_positive_is_remarked_on(string alpha, string remark) =>
        Assert.Equal([remark], PeftAdapterConfig.Parse($$"""{"lora_alpha":{{alpha}}}""").Remarks);

    [Theory]
    [InlineData("[]", "adapter_config.json: it must hold a JSON object.")]
    [InlineData("""{"r":1,"r":2}""", "not valid JSON")]
    [InlineData("""{"r":"\ud800"}""", "unpaired surrogate")]
    [InlineData("", "not valid JSON")]
    public void What_is_no_JSON_object_is_refused(string json, string message) =>
        Assert.Contains(message, Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse(json)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{\"r\":\"\\ud800\"}", "the text at byte 5 holds an unpaired surrogate.")]
    [InlineData("\u00EF\u00BB\u00BF{\"r\":\"\\udfffx\"}", "the text at byte 8 holds an unpaired surrogate.")]
    [InlineData("{\"a\":{\"\\ud83d\":1,\"\\ud83d\\ude00\":1}}", "the text at byte 6 holds an unpaired surrogate.")]
    [InlineData("{\"r\":\"\u00C3\u0028\"}", "byte 6 is not UTF-8.")]
    public void Text_that_is_none_is_named_by_its_byte(string bytes, string problem) => Assert.Equal(
        $"adapter_config.json: not valid JSON: {problem}",
        Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse(PeftAdapterConfig.FileName, System.Text.Encoding.Latin1.GetBytes(bytes))).Message);

    [Theory]
    [InlineData("eva", "eva_config", "rho")]
    [InlineData("lora_ga", "lora_ga_config", "stable_gamma")]
    public void A_setting_that_no_number_holds_is_refused(string initialization, string settings, string field) => Assert.Equal(
        [$"{settings}: {field} must be a number, but is -1e999."],
        Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse($$$"""{"peft_type":"LORA","target_modules":["fc"],"init_lora_weights":"{{{initialization}}}","{{{settings}}}":{"{{{field}}}":-1e999}}""").ToLoraConfig()).Problems);

    [Fact]
    public void Checking_many_patterns_costs_no_automaton_for_each()
    {
        string json = $$$"""{"peft_type":"LORA","target_modules":["fc"],"rank_pattern":{ {{{string.Join(',', Enumerable.Range(0, 500).Select(i => $"\"^model\\\\.layers\\\\.{i}\\\\..*q_proj$\":2"))}}} }}""";
        PeftAdapterConfig file = PeftAdapterConfig.Parse(json);
        file.ToLoraConfig();
        long before = GC.GetAllocatedBytesForCurrentThread();
        LoraConfig config = file.ToLoraConfig();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 32 * json.Length);
        Assert.Equal(500, config.RankPattern.Count);
    }

    [Fact]
    public void A_byte_order_mark_is_skipped() => Assert.Equal("2", PeftAdapterConfig.Parse("\uFEFF{\"r\":2}").Fields["r"].GetRawText());

    private static LoraConfig Parse(string field, string json) =>
        PeftAdapterConfig.Parse($$"""{"peft_type":"LORA","target_modules":["fc"],"{{field}}":{{json}}}""").ToLoraConfig();

    public static TheoryData<string> FieldNames => [.. PeftConfigFields.Defaults.Keys];

    [Theory]
    [MemberData(nameof(FieldNames))]
    public void A_field_of_any_other_type_is_read_or_refused(string name)
    {
        string[] values =
        [
            "null", "true", "false", "5", "-1", "0.5", "1e999", "1e-400", "99999999999999999999", "\"\"", "\"x\"", "\"(\"", "[]", "[1]", "[null]", "[\"\"]", "[[[1]]]", "{}",
            "{\"\":1}", "{\"(\":1}", "{\"a\":null}", "{\"a\":1e400}", "{\"a\":{\"b\":1}}",
        ];
        foreach (string value in values)
        {
            string[] fields = [.. PeftConfigFields.Defaults.Select(pair => $"\"{pair.Key}\":{(pair.Key == name ? value : pair.Key == "target_modules" ? "[\"fc\"]" : pair.Value)}")];
            PeftAdapterConfig config = PeftAdapterConfig.Parse($"{{{string.Join(',', fields)}}}");
            try
            {
                config.ToLoraConfig().Validate();
            }
            catch (AdapterFormatException exception)
            {
                Assert.All(exception.Problems, problem => Assert.StartsWith(name, problem, StringComparison.Ordinal));
            }
        }
    }
}
