#!/usr/bin/env bash
# Prints Package or System: where TorchSharp and Microsoft.ML.Tokenizers come from.
# The environment's Backend decides; else whether the package feed carries both, asked once and kept in artifacts/backend.props.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

props=$artifacts/backend.props
keep() {
  mkdir -p "$artifacts"
  printf '<Project><PropertyGroup><Backend>%s</Backend></PropertyGroup></Project>\n' "$1" >"$props.$$"
  mv "$props.$$" "$props"
}

case ${Backend:-} in
  Package | System) echo "$Backend"; exit ;;
  '') ;;
  *) fail "Backend=$Backend in the environment: it is Package or System" ;;
esac
if [ -e "$props" ]; then
  sed -n 's:.*<Backend>\(.*\)</Backend>.*:\1:p' "$props"
  exit
fi

# Restored for real, into a folder that is thrown away. NU1603: the feed has a later version than Directory.Packages.props asks for.
probe=$artifacts/probe
rm -rf "$probe"
mkdir -p "$probe"
cat >"$probe/probe.csproj" <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <NuGetAudit>false</NuGetAudit>
    <WarningsAsErrors>NU1603</WarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="TorchSharp" />
    <PackageReference Include="Microsoft.ML.Tokenizers" />
  </ItemGroup>
</Project>
XML
if dotnet restore "$probe/probe.csproj" -p:ImportDirectoryBuildProps=false -p:ImportDirectoryBuildTargets=false \
  -p:RestorePackagesPath="$probe/packages" >"$probe/log" 2>&1; then
  backend=Package
  say "the package feed carries TorchSharp and Microsoft.ML.Tokenizers: Backend=Package"
  keep $backend
elif grep -qE 'NU1(10[123]|603)' "$probe/log"; then
  backend=System
  say "the package feed lacks TorchSharp or Microsoft.ML.Tokenizers: Backend=System, the in-repo assemblies over the machine's libtorch"
  keep $backend
else
  grep -m3 -E 'error' "$probe/log" >&2 || tail -n 3 "$probe/log" >&2
  fail "could not ask the package feed; mend that, or set Backend=System or Backend=Package in the environment"
fi
rm -rf "$probe"
echo $backend
