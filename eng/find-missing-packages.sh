#!/usr/bin/env bash
# Prints which of TorchSharp and Microsoft.ML.Tokenizers the package feed does not carry in the version of Directory.Packages.props, a name a line.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for package in TorchSharp Microsoft.ML.Tokenizers; do
  # Restored for real, into a folder that is thrown away. NU1603: the feed has another version only.
  probe=$artifacts/probe
  rm -rf "$probe"
  mkdir -p "$probe"
  cat >"$probe/probe.csproj" <<XML
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <NuGetAudit>false</NuGetAudit>
    <WarningsAsErrors>NU1603</WarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="$package" />
  </ItemGroup>
</Project>
XML
  if ! dotnet restore "$probe/probe.csproj" -p:ImportDirectoryBuildProps=false -p:ImportDirectoryBuildTargets=false \
    -p:RestorePackagesPath="$probe/packages" >"$probe/log" 2>&1; then
    if ! grep -qE 'NU1(10[123]|603)' "$probe/log"; then
      grep -m3 -E 'error' "$probe/log" >&2 || tail -n 3 "$probe/log" >&2
      fail "could not ask the package feed; mend that, or set Backend=System or Backend=Package in the environment"
    fi
    echo "$package"
  fi
  rm -rf "$probe"
done
