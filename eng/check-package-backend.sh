#!/usr/bin/env bash
# Builds the solution with Backend=Package, so that what users get compiles also where the feed lacks TorchSharp.
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

rm -rf "$feed" "$work"/packages/{torchsharp,torchsharp-cpu,microsoft.ml.tokenizers} "$work/build"
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
for package in $missing; do
  case $package in
    TorchSharp)
      quietly dotnet pack "$work/native/native.csproj" "${options[@]}" -o "$feed" -p:ImportDirectoryBuildProps=false -p:ImportDirectoryBuildTargets=false -p:ImportDirectoryPackagesProps=false
      project=src/SystemTorch ;;
    *) project=src/SystemTokenizers ;;
  esac
  quietly dotnet pack "$project" "${options[@]}" -o "$feed" -p:Backend=Package -p:IsPackable=true
  [ -e "$feed/$package.$(version "$package").nupkg" ] || fail "no package $package $(version "$package") came out: does its project's Version agree with Directory.Packages.props?"
done
quietly dotnet build Lora.sln "${options[@]}" -p:Backend=Package -p:RestoreAdditionalProjectSources="$feed" -p:RestorePackagesPath="$work/packages"
say "the solution builds with Backend=Package (stand-ins for: $(paste -sd' ' <<<"$missing"))"
