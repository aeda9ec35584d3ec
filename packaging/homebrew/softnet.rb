# For a tap. OWNER is the publisher of softnet; at a release `url` and `sha256` of its archive come in. Until then: --HEAD.
class Softnet < Formula
  desc "Lets through only what a virtual machine has the right to send and receive"
  homepage "https://github.com/OWNER/softnet"
  license "BSD-2-Clause"
  head "https://github.com/OWNER/softnet.git", branch: "main"

  # Its static library goes into the program: one with the set-user-id bit must load nothing from Homebrew's folder.
  depends_on "jansson" => :build
  depends_on "meson" => :build
  depends_on "ninja" => :build
  depends_on "pkgconf" => :build
  depends_on :macos

  def install
    system "meson", "setup", "build", "-Dslirp=disabled", "-Dquic=disabled", "-Debpf=disabled", "-Dtests=disabled", *std_meson_args
    system "meson", "compile", "-C", "build", "--verbose"
    system "meson", "install", "-C", "build"
    pkgshare.install "packaging/macos/softnet.entitlements"
  end

  def caveats
    <<~EOS
      vmnet wants root; softnet gives it up before it reads a frame. Homebrew's folder belongs to a user, who could put
      another program in the place of this one, so give root to a copy that is root's (again after each upgrade):
        sudo install -d -o root -g wheel -m 0755 /usr/local/libexec/softnet
        sudo install -o root -g wheel -m 4755 #{opt_bin}/softnet /usr/local/libexec/softnet/softnet
      Put that folder first in the PATH of the user who starts Tart. Without the set-user-id bit (0755 in the line above), a
      rule of sudo does, too, for these words alone; by visudo:
        Cmnd_Alias SOFTNET = /usr/local/libexec/softnet/softnet --help, \\
            /usr/local/libexec/softnet/softnet --sudo-escalation-*, \\
            /usr/local/libexec/softnet/softnet run --sudo-escalation-*
        USER ALL=(root) NOPASSWD: SOFTNET
      Tart itself offers to set the bit on #{opt_bin}/softnet: see docs/macos.md on why a copy is better.

      From macOS 26 on the entitlement will do instead of root:
        codesign --force --sign - --entitlements #{opt_pkgshare}/softnet.entitlements #{opt_bin}/softnet
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/softnet --version") unless head?
    output = shell_output("#{bin}/softnet policy check --block any --allow @dns:53 10.0.0.5:tcp/22")
    assert_match "block", output
    refute_match HOMEBREW_PREFIX.to_s, shell_output("otool -L #{bin}/softnet | tail -n +2")
  end
end
