#!/usr/bin/env bash
# Builds the solution with Backend=Package, so that what users get compiles also where the feed lacks TorchSharp; packs the libraries, looks into the packages, and builds a project that uses them.
# What the feed lacks comes from a folder: packed from src/System* under the real names and versions, beside an empty native one.
# Everything, the packages folder too, lies in artifacts/package-backend: no stand-in reaches the machine's package cache.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ "$("$root/eng/choose-backend.sh")" = Package ]; then
  say "Backend is Package already: the ordinary build checks it"
  exit
fi

work=$artifacts/package-backend
feed=$artifacts/feed
version() { sed -n "s/.*Include=\"$1\" Version=\"\([^\"]*\)\".*/\1/p" "$root/Directory.Packages.props"; }

rm -rf "$feed" "$work"/packages/{torchsharp,torchsharp-cpu,microsoft.ml.tokenizers,lora,lora.llm} "$work"/{build,out,user}
mkdir -p "$feed" "$work/native"
cd "$root"

# Stands for TorchSharp-cpu, which holds libtorch: nothing to compile against.
cat >"$work/native/native.csproj" <<XML
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <PackageId>TorchSharp-cpu</PackageId>
    <Version>$(version TorchSharp-cpu)</Version>
    <Description>Stand-in without content.</Description>
    <IncludeBuildOutput>false</IncludeBuildOutput>
    <SuppressDependenciesWhenPacking>true</SuppressDependenciesWhenPacking>
    <!-- It has no content on purpose, so there is nothing for a dependency group to go with. -->
    <NoWarn>\$(NoWarn);NU5128</NoWarn>
  </PropertyGroup>
  <ItemGroup>
    <None Include="native.csproj" Pack="true" PackagePath="" /> <!-- a package may not be empty -->
  </ItemGroup>
</Project>
XML

quietly() { "$@" >"$work/log" 2>&1 || { grep -E 'error|warning' "$work/log" | sort -u | head -n 20 >&2; fail "failed: $*"; }; }
missing=$("$root/eng/find-missing-packages.sh")
options=(-c Release -v quiet --artifacts-path "$work/build")
alone=(-p:ImportDirectoryBuildProps=false -p:ImportDirectoryBuildTargets=false -p:ImportDirectoryPackagesProps=false)
for package in $missing; do
  case $package in
    TorchSharp)
      quietly dotnet pack "$work/native/native.csproj" "${options[@]}" -o "$feed" "${alone[@]}"
      project=src/SystemTorch ;;
    *) project=src/SystemTokenizers ;;
  esac
  quietly dotnet pack "$project" "${options[@]}" -o "$feed" -p:Backend=Package -p:IsPackable=true
  [ -e "$feed/$package.$(version "$package").nupkg" ] || fail "no package $package $(version "$package") came out: does its project's Version agree with Directory.Packages.props?"
done
quietly dotnet build Lora.sln "${options[@]}" -p:Backend=Package -p:RestoreAdditionalProjectSources="$feed" -p:RestorePackagesPath="$work/packages"
say "the solution builds with Backend=Package (stand-ins for: $(paste -sd' ' <<<"$missing"))"

for library in Lora Lora.Llm; do
  quietly dotnet pack "src/$library" "${options[@]}" --no-build -o "$work/out" -p:Backend=Package
done
LORA_PACKAGES_DIR=$work/out quietly dotnet test tests/Lora.PublicApi.Tests "${options[@]}" --no-build -p:Backend=Package --filter FullyQualifiedName~Packaging

lora=$(basename "$work"/out/Lora.Llm.*.nupkg .nupkg)
mkdir -p "$work/user"
cat >"$work/user/user.csproj" <<XML
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <OutputType>Exe</OutputType>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Lora.Llm" Version="${lora#Lora.Llm.}" />
    <PackageReference Include="TorchSharp-cpu" Version="$(version TorchSharp-cpu)" />
  </ItemGroup>
</Project>
XML
cat >"$work/user/Program.cs" <<'CS'
using Lora;
using Lora.Llm;
using TorchSharp;

using CausalLanguageModel model = AutoModel.FromPretrained(args[0]);
using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16));
using var optimizer = torch.optim.AdamW(lora.TrainableParameters(), 2e-4);
Console.WriteLine(lora.ParameterCounts);
CS
quietly dotnet build "$work/user" "${options[@]}" "${alone[@]}" -p:RestoreAdditionalProjectSources="$feed%3B$work/out" -p:RestorePackagesPath="$work/packages"
say "the packages hold what they should, and a project that uses them builds"
